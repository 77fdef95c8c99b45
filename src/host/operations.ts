/** The operations of this boot: one that changes the host at a time, and what each of them said. */
import { randomUUID } from "node:crypto";
import { AtollError, asAtollError } from "../errors.ts";
import type { Progress } from "../progress.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { ErrorBody, HostVerb, Operation, OperationEvent, OperationResult } from "./model.ts";
import type { Marker, Slot } from "./store.ts";

/**
 * Work that says what it does, and stops at the next safe point when `signal` fires. It calls `mark` when it begins to
 * write: from then until it ends, a start of the daemon finds it interrupted.
 */
export type Work = (
  progress: Progress,
  signal: AbortSignal,
  mark: () => Promise<void>,
) => Promise<OperationResult>;

export interface Operations {
  /**
   * Starts `work` and returns at once. When its result has been told, and only then, does `afterwards`: what would
   * end this daemon before it could tell. Errors: BUSY.
   */
  start(verb: HostVerb, work: Work, afterwards: (result: OperationResult) => Promise<void>): Operation;
  /** Errors: OPERATION_UNKNOWN. */
  get(id: string): Operation;
  /** Newest first. */
  list(): Operation[];
  running(): Operation | null;
  /** Every event from the start; ends when the operation does, or `signal` fires. Errors: OPERATION_UNKNOWN. */
  events(id: string, signal: AbortSignal): AsyncGenerator<OperationEvent>;
  /** Errors: OPERATION_UNKNOWN, NOT_CANCELLABLE. */
  cancel(id: string): Operation;
  /** Asks what runs to stop, and waits until that, and what comes after it, has ended. */
  stop(): Promise<void>;
}

interface Running {
  operation: Operation;
  readonly events: OperationEvent[];
  readonly controller: AbortController;
  /** Wakes those who follow. */
  readonly listeners: Set<() => void>;
  ended: Promise<void>;
}

interface Parts {
  readonly clock: Clock;
  readonly log: Log;
  readonly marker: Slot<Marker>;
}

/** Operations remembered. */
const kept = 50;

export function openOperations(parts: Parts): Operations {
  const all: Running[] = [];
  const find = (id: string): Running => {
    const found = all.find(({ operation }) => operation.id === id);
    if (!found) throw new AtollError("OPERATION_UNKNOWN", { id });
    return found;
  };
  const current = (): Running | undefined => all.find(({ operation }) => operation.state === "running");
  return {
    start(verb, work, afterwards) {
      refuseSecond(current());
      const begun = begin(verb, parts.clock);
      all.unshift(begun);
      all.splice(kept);
      begun.ended = carryOut(parts, begun, work, afterwards);
      return begun.operation;
    },
    get: (id) => find(id).operation,
    list: () => all.map(({ operation }) => operation),
    running: () => current()?.operation ?? null,
    events: (id, signal) => follow(find(id), signal),
    cancel(id) {
      const found = find(id);
      if (found.operation.state !== "running") throw new AtollError("NOT_CANCELLABLE", { id });
      found.controller.abort();
      return found.operation;
    },
    async stop() {
      current()?.controller.abort();
      await Promise.all(all.map(({ ended }) => ended));
    },
  };
}

function refuseSecond(one: Running | undefined): void {
  if (one === undefined) return;
  const { verb, startedAt, id } = one.operation;
  throw new AtollError("BUSY", { verb, since: startedAt, id });
}

function begin(verb: HostVerb, clock: Clock): Running {
  const operation: Operation = {
    id: randomUUID(),
    verb,
    state: "running",
    startedAt: clock.now().toISOString(),
    endedAt: null,
    step: null,
    result: null,
    error: null,
  };
  return {
    operation,
    events: [],
    controller: new AbortController(),
    listeners: new Set(),
    ended: Promise.resolve(),
  };
}

/** Never rejects: whatever happens becomes the operation's result or its error. */
async function carryOut(
  { clock, log, marker }: Parts,
  running: Running,
  work: Work,
  afterwards: (result: OperationResult) => Promise<void>,
): Promise<void> {
  const { id, verb, startedAt } = running.operation;
  const at = (): string => clock.now().toISOString();
  const say = (event: OperationEvent): void => {
    running.events.push(event);
    for (const wake of running.listeners) wake();
  };
  const progress: Progress = {
    step(step) {
      running.operation = { ...running.operation, step };
      log.info(`${verb}: ${step}`);
      say({ type: "step", at: at(), step });
    },
    detail: (detail) => say({ type: "detail", at: at(), detail }),
  };
  let marked = false;
  const mark = (): Promise<void> => {
    marked = true;
    return noted(marker.write({ id, verb, startedAt }), log);
  };
  // Not before it is its own: until then it may be that of an interrupted one, which is still to be told.
  const unmark = async (): Promise<void> => {
    if (marked) await noted(marker.clear(), log);
  };
  try {
    const result = await work(progress, running.controller.signal, mark);
    await unmark();
    running.operation = { ...running.operation, state: "done", endedAt: at(), result };
    log.info(`${verb}: ${result.summary}`);
    say({ type: "result", at: at(), result });
    await afterwards(result).catch((error: unknown) => log.error(`${verb}: ${asAtollError(error).message}`));
  } catch (thrown) {
    const error = asAtollError(thrown);
    const state = running.controller.signal.aborted ? "cancelled" : "failed";
    await unmark();
    running.operation = { ...running.operation, state, endedAt: at(), error: errorBody(error) };
    log.error(`${verb}: ${error.code}: ${error.message}`);
    if (error.code === "INTERNAL" && error.cause instanceof Error) log.error(error.cause.stack ?? "");
    say({ type: "error", at: at(), error: errorBody(error) });
  }
}

/** A full disk must not keep `cleanup` from being its way out: without its marker an operation is only not told of. */
async function noted(change: Promise<void>, log: Log): Promise<void> {
  await change.catch((failure: unknown) =>
    log.error(`the marker of an operation: ${failure instanceof Error ? failure.message : String(failure)}`),
  );
}

/** An error as it goes to people and programs. */
export function errorBody(error: AtollError): ErrorBody {
  return { code: error.code, message: error.message, next: error.next, parameters: error.parameters };
}

async function* follow(running: Running, signal: AbortSignal): AsyncGenerator<OperationEvent> {
  let wake = (): void => {};
  const onEvent = (): void => wake();
  running.listeners.add(onEvent);
  signal.addEventListener("abort", onEvent, { once: true });
  try {
    for (let sent = 0; !signal.aborted; ) {
      for (const event of running.events.slice(sent)) {
        sent++;
        yield event;
        if (event.type === "result" || event.type === "error") return;
      }
      if (running.events.length > sent || signal.aborted) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    running.listeners.delete(onEvent);
    signal.removeEventListener("abort", onEvent);
  }
}
