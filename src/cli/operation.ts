import { type HostClient, HostFailure } from "../api/client.ts";
import type { HostRequests, HostVerb, OperationResult, StatusResponse, TrialState } from "../api/types.ts";
import { AtollError, hasCode } from "../errors.ts";
import type { CliContext } from "./command.ts";
import { type CommandProgress, withProgress } from "./progress.ts";
import type { Connection } from "./transport.ts";

/**
 * Has the host do `verb`, shows how it goes, and gives what came of it; null when the host went down for the reboot
 * that was asked for before it could tell. Ctrl-C asks the host to stop at its next safe point.
 * Errors: what the host refuses it with (HostFailure); HOST_UNREACHABLE; HOST_OPERATION_LOST.
 */
export async function runOperation<V extends HostVerb>(
  context: CliContext,
  connection: Connection,
  { verb, body, reboots }: { readonly verb: V; readonly body: HostRequests[V]; readonly reboots: boolean },
): Promise<OperationResult | null> {
  const { client } = connection;
  const { id } = await client.begin(verb, body);
  return withProgress(context.terminal, async (progress) => {
    const cancel = (): void => {
      progress.note(
        `atoll: asked ${client.name} to stop at its next safe point (Ctrl-C again: leave it alone)`,
      );
      // Whether it stopped, the events tell; that the wish did not arrive, they tell as well.
      client.cancel(id).catch(() => {});
    };
    context.signal.addEventListener("abort", cancel, { once: true });
    try {
      const result = await follow(client, id, progress);
      return result ?? (await findOutcome(context, connection, { id, reboots }));
    } finally {
      context.signal.removeEventListener("abort", cancel);
    }
  });
}

/** Shows an operation's events up to its outcome; null when they end without one. */
async function follow(
  client: HostClient,
  id: string,
  progress: CommandProgress,
): Promise<OperationResult | null> {
  try {
    for await (const event of client.events(id)) {
      switch (event.type) {
        case "step":
          progress.step(event.step);
          break;
        case "detail":
          progress.detail(event.detail);
          break;
        case "result":
          return event.result;
        case "error":
          throw new HostFailure(event.error);
      }
    }
  } catch (error) {
    if (!hasCode(error, "HOST_UNREACHABLE")) throw error;
  }
  return null;
}

/** How long a host whose connection broke is asked again. */
const lostMs = 30_000;

/** The outcome of an operation whose events broke off; null when its host is down, as it was told to be. */
async function findOutcome(
  context: CliContext,
  connection: Connection,
  { id, reboots }: { readonly id: string; readonly reboots: boolean },
): Promise<OperationResult | null> {
  let state = "running";
  const end = performance.now() + lostMs;
  while (performance.now() < end) {
    try {
      const { client } = await connection.renew();
      const operation = await client.operation(id);
      if (operation.result) return operation.result;
      if (operation.error) throw new HostFailure(operation.error);
      state = operation.state;
    } catch (error) {
      // A host that has rebooted already knows nothing of it any more.
      const gone = hasCode(error, "HOST_UNREACHABLE") || isUnknownOperation(error);
      if (!gone) throw error;
      if (reboots) return null;
      if (isUnknownOperation(error)) break;
    }
    await context.sleep(lookEveryMs);
  }
  throw new AtollError("HOST_OPERATION_LOST", { host: connection.client.name, state });
}

function isUnknownOperation(error: unknown): boolean {
  return error instanceof HostFailure && error.body.code === "OPERATION_UNKNOWN";
}

/** How long one boot may take to be seen and judged: an emulated machine on a busy computer is slow. */
const waitLimitMs = 30 * 60_000;
const lookEveryMs = 1000;

/**
 * Waits until the host has come up again after the boot that `before` shows, and has been judged; a host that gives
 * its trial three tries and then goes back is waited for to the end. Errors: HOST_NOT_BACK; INTERRUPTED.
 */
export function waitForVerdict(
  context: CliContext,
  connection: Connection,
  before: StatusResponse,
): Promise<StatusResponse> {
  return withProgress(context.terminal, (progress) => watchBoots(context, connection, before, progress));
}

async function watchBoots(
  context: CliContext,
  connection: Connection,
  before: StatusResponse,
  progress: CommandProgress,
): Promise<StatusResponse> {
  const { name } = connection.client;
  progress.step(`waiting for ${name} to come back`);
  let end = performance.now() + waitLimitMs;
  let current: Connection | null = null;
  let lastBoot = before.boot;
  while (performance.now() < end) {
    if (context.signal.aborted) throw new AtollError("INTERRUPTED", { step: `waiting for ${name}` });
    await context.sleep(lookEveryMs);
    try {
      current ??= await connection.renew();
      const status = await current.client.status();
      if (status.boot !== lastBoot) {
        lastBoot = status.boot;
        end = performance.now() + waitLimitMs;
        progress.step(bootStep(status));
      }
      if (lastBoot !== before.boot && isSettled(status)) return status;
    } catch (error) {
      // While it is down, nothing can be reached; a daemon that has just started may not know all yet.
      if (!hasCode(error, "HOST_UNREACHABLE") && !(error instanceof HostFailure)) throw error;
      current = null;
    }
  }
  throw new AtollError("HOST_NOT_BACK", { host: name, minutes: waitLimitMs / 60_000 });
}

function bootStep({ trial, deployments }: StatusResponse): string {
  const version = deployments.find(({ booted }) => booted)?.version ?? "an unnamed version";
  return trial.attempt === null
    ? `${version} is up; waiting for its verdict`
    : `${version} is up on trial, try ${trial.attempt} of ${trial.tries}; waiting for its verdict`;
}

const settledStates: readonly TrialState[] = ["good", "chosen", "settled", "unmanaged"];

/** Whether the host's story has come to an end: judged well, or fallen back and all of it written down. */
function isSettled({ verdict, trial }: StatusResponse): boolean {
  return verdict !== null && settledStates.includes(trial.state);
}
