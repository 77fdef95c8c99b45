import { setTimeout as sleep } from "node:timers/promises";
import { type HostClient, HostFailure } from "../api/client.ts";
import type { HostRequests, HostVerb, OperationResult, StatusResponse } from "../api/types.ts";
import { AtollError, hasCode } from "../errors.ts";
import type { CliContext } from "./command.ts";
import { type DrawnProgress, drawProgress } from "./progress.ts";
import type { Connection } from "./transport.ts";

/**
 * Has the host do `verb`, shows how it goes, and gives what came of it. Ctrl-C asks the host to stop at its next safe
 * point. Errors: what the host refuses it with (HostFailure); HOST_UNREACHABLE; HOST_OPERATION_CANCELLED.
 */
export async function runOperation<V extends HostVerb>(
  context: CliContext,
  client: HostClient,
  verb: V,
  body: HostRequests[V],
): Promise<OperationResult> {
  const progress = drawProgress(context.terminal);
  const { id } = await client.begin(verb, body);
  const cancel = (): void => {
    context.terminal.err(
      `\natoll: asked ${client.name} to stop at its next safe point (Ctrl-C again: leave it alone)`,
    );
    // Whether it stopped, the events tell; that the wish did not arrive, they tell as well.
    client.cancel(id).catch(() => {});
  };
  context.signal.addEventListener("abort", cancel, { once: true });
  try {
    const result = await follow(client, id, progress);
    progress.done();
    return result;
  } catch (error) {
    progress.failed();
    throw error;
  } finally {
    context.signal.removeEventListener("abort", cancel);
  }
}

async function follow(client: HostClient, id: string, progress: DrawnProgress): Promise<OperationResult> {
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
  // The events ended without an outcome: the daemon went away, or the operation was cancelled.
  const { state, result, error } = await client.operation(id);
  if (result) return result;
  if (error) throw new HostFailure(error);
  throw new AtollError("HOST_OPERATION_LOST", { host: client.name, state });
}

/** Three tries of a slow, emulated machine, each with its deadline, and the boot of the version before. */
const waitLimitMs = 30 * 60_000;
const lookEveryMs = 1000;
/** The clock of a host is set while it starts; a boot is another one when it began this much later. */
const anotherBootMs = 5000;

/**
 * Waits until the host has come up again after the boot that `before` shows, and has been judged; a host that gives
 * its trial three tries and then goes back is waited for to the end. Errors: HOST_NOT_BACK; INTERRUPTED.
 */
export async function waitForVerdict(
  context: CliContext,
  connection: Connection,
  before: StatusResponse,
): Promise<StatusResponse> {
  const { name } = connection.client;
  const progress = drawProgress(context.terminal);
  progress.step(`waiting for ${name} to come back`);
  const end = performance.now() + waitLimitMs;
  let current: Connection | null = null;
  let lastBoot = before.bootedAt;
  while (performance.now() < end) {
    if (context.signal.aborted) {
      progress.failed();
      throw new AtollError("INTERRUPTED", { step: `waiting for ${name}` });
    }
    await sleep(lookEveryMs);
    try {
      current ??= await connection.renew();
      const status = await current.client.status();
      if (Date.parse(status.bootedAt) - Date.parse(lastBoot) > anotherBootMs) {
        lastBoot = status.bootedAt;
        progress.step(bootStep(status));
      }
      if (lastBoot !== before.bootedAt && isSettled(status)) {
        progress.done();
        return status;
      }
    } catch (error) {
      // While it is down, nothing can be reached; anything else would be a surprise.
      if (!hasCode(error, "HOST_UNREACHABLE")) throw error;
      current = null;
    }
  }
  progress.failed();
  throw new AtollError("HOST_NOT_BACK", { host: name, minutes: waitLimitMs / 60_000 });
}

function bootStep({ trial, deployments }: StatusResponse): string {
  const version = deployments.find(({ booted }) => booted)?.version ?? "an unnamed version";
  return trial.attempt === null
    ? `${version} is up; waiting for its verdict`
    : `${version} is up on trial, try ${trial.attempt} of ${trial.tries}; waiting for its verdict`;
}

/** Whether the host's story has come to an end: judged well, or fallen back and all of it written down. */
function isSettled({ verdict, trial }: StatusResponse): boolean {
  switch (trial.state) {
    case "good":
    case "settled":
    case "unmanaged":
      return verdict !== null;
    default:
      return false;
  }
}
