import { setTimeout as sleep } from "node:timers/promises";
import { hostClient } from "../api/client.ts";
import type { StatusResponse } from "../api/types.ts";
import { AtollError, hasCode } from "../errors.ts";
import { getMachine, type LabContext } from "./machine.ts";
import { labTarget, openApiSocket } from "./ssh.ts";

/** An emulated first boot on a busy computer takes minutes. */
const judgedMs = 15 * 60_000;
const pageMs = 10 * 60_000;
/** Every look is an SSH handshake, which an emulated machine that is still starting feels. */
const lookEveryMs = 2000;

/**
 * Waits until the daemon of a running machine has judged this boot, and gives its status then.
 * Errors: LAB_NOT_WELL when the machine ends, or does not come so far in a quarter of an hour; INTERRUPTED.
 */
export async function waitUntilJudged(context: LabContext, name: string): Promise<StatusResponse> {
  const { lab, signal } = context;
  let last = "its SSH server does not answer";
  const end = performance.now() + judgedMs;
  while (performance.now() < end) {
    interrupted(signal, `waiting for ${name}`);
    const { record, running } = await getMachine(lab, name);
    if (!running) throw new AtollError("LAB_NOT_WELL", { name, cause: "its QEMU ended" });
    try {
      const socketPath = await openApiSocket(labTarget(lab, record), signal);
      const status = await hostClient({ name, socketPath, ...(signal && { signal }) }).status();
      if (status.verdict) return status;
      last = "its daemon has not judged it yet";
    } catch (error) {
      if (!hasCode(error, "HOST_UNREACHABLE")) throw error;
      last = String(error.parameters.cause ?? error.message);
    }
    await sleep(lookEveryMs);
  }
  throw new AtollError("LAB_NOT_WELL", {
    name,
    cause: `no verdict within ${judgedMs / 60_000} minutes (${last})`,
  });
}

/** Waits until `url` answers with success. Errors: LAB_NO_PAGE; INTERRUPTED. */
export async function waitForPage(url: string, name: string, signal: AbortSignal | undefined): Promise<void> {
  let last = "";
  const end = performance.now() + pageMs;
  while (performance.now() < end) {
    interrupted(signal, `waiting for the page of ${name}`);
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
      await response.body?.cancel();
      if (response.ok) return;
      last = `status ${response.status}`;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await sleep(lookEveryMs);
  }
  throw new AtollError("LAB_NO_PAGE", { url, name, cause: last });
}

function interrupted(signal: AbortSignal | undefined, step: string): void {
  if (signal?.aborted) throw new AtollError("INTERRUPTED", { step });
}
