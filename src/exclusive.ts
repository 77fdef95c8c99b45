import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { text } from "node:stream/consumers";
import { AtollError } from "./errors.ts";
import { noLog } from "./process.ts";

interface LockOptions {
  /** What the lock guards, in a person's words: names the step in INTERRUPTED. */
  readonly step: string;
  readonly signal?: AbortSignal;
  /** Called once when somebody else holds the lock and this call has to wait for it. */
  readonly onWait?: () => void;
}

/**
 * Runs `work` while this process alone holds the lock file `path` (made when absent).
 * The lock is flock(2)'s: the kernel drops it when the holder ends, however it ends, so none is ever stale.
 * Errors: those of `work`; INTERRUPTED when `signal` fires while waiting; COMMAND_MISSING, COMMAND_FAILED.
 */
export async function withExclusive<T>(
  path: string,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const { done } = await holding(path, ["--exclusive"], options, work);
  return done;
}

/** The same beside others who hold it so; only with who wants it alone it is not shared. */
export async function withShared<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  const { done } = await holding(path, ["--shared"], options, work);
  return done;
}

/** `withExclusive` without waiting: null, and `work` is not run, when somebody else holds the lock. */
export async function tryExclusive<T extends object>(
  path: string,
  options: Omit<LockOptions, "onWait">,
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return (await holding(path, ["--exclusive", "--nonblock"], options, work)).done;
  } catch (error) {
    if (error instanceof Taken) return null;
    throw error;
  }
}

/** Somebody else holds the lock. */
class Taken extends Error {}

/** flock(1)'s exit code for a lock that is taken; its own failures have those of sysexits.h. */
const takenCode = 1;

async function holding<T>(
  path: string,
  how: readonly string[],
  options: LockOptions,
  work: () => Promise<T>,
): Promise<{ readonly done: T }> {
  await mkdir(dirname(path), { recursive: true });
  // Node has no flock(2): a child holds it, and lets go when our end of its standard input closes.
  const holder = spawn("flock", [...how, path, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  const ended = endOf(holder);
  const said = text(holder.stderr);
  const waiting = setTimeout(() => options.onWait?.(), 300);
  try {
    await Promise.race([
      once(holder.stdout, "data", options.signal ? { signal: options.signal } : {}),
      ended.then(async (code) => {
        throw notHeld(path, options.step, code, await said);
      }),
    ]);
    clearTimeout(waiting);
    return { done: await work() };
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") {
      throw new AtollError("INTERRUPTED", { step: options.step }, error);
    }
    throw error;
  } finally {
    clearTimeout(waiting);
    holder.stdin.destroy();
    holder.kill();
    await ended;
  }
}

/** The exit code of `child` when all of it has ended; null when it could not be started, or was killed. */
function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once("error", () => resolve(null));
    child.once("close", (code) => resolve(code));
  });
}

function notHeld(path: string, step: string, code: number | null, said: string): Error {
  if (code === takenCode) return new Taken();
  if (code === null) {
    return new AtollError("COMMAND_MISSING", { step, program: "flock", hint: "package util-linux" });
  }
  return new AtollError("COMMAND_FAILED", {
    ...{ step, command: `flock ${path}`, outcome: `exit code ${code}` },
    ...{ output: said.trim() || "(no output)", log: noLog },
  });
}
