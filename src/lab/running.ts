import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isSystemError } from "../errors.ts";

/**
 * A process, named so that another one that got the same pid later is never taken for it: with the moment when it
 * started (in clock ticks since boot) and the boot of this computer in which that was.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
}

/** Who `pid` is now; null when there is no such process, or it is dead and only waits to be reaped. */
export async function identify(pid: number): Promise<ProcessIdentity | null> {
  try {
    const stat = parseStat(await readFile(`/proc/${pid}/stat`, "utf8"));
    if (stat.state === "Z" || stat.state === "X") return null;
    const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    return { pid, startTicks: stat.startTicks, bootId };
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ESRCH")) return null;
    throw error;
  }
}

/**
 * State and start time in a line of /proc/PID/stat (proc_pid_stat(5)): fields 3 and 22. The second field, the name,
 * stands in parentheses and may hold anything, parentheses and spaces too.
 */
export function parseStat(line: string): { readonly state: string; readonly startTicks: number } {
  const fields = line
    .slice(line.lastIndexOf(")") + 1)
    .trim()
    .split(" ");
  return { state: fields[0] ?? "", startTicks: Number(fields[19]) };
}

/** Whether exactly this process still runs. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const now = await identify(identity.pid);
  return now !== null && now.startTicks === identity.startTicks && now.bootId === identity.bootId;
}

/** Sends `signal` to exactly this process; false when it no longer runs. */
export async function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): Promise<boolean> {
  if (!(await isRunning(identity))) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if (isSystemError(error, "ESRCH")) return false;
    throw error;
  }
}

/** Waits up to `milliseconds` for the end of a process that need not be our child; true when it ended. */
export async function waitForEnd(
  identity: ProcessIdentity,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const end = performance.now() + milliseconds;
  while (await isRunning(identity)) {
    if (performance.now() >= end || signal?.aborted) return false;
    await sleep(50);
  }
  return true;
}
