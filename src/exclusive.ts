import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { text } from "node:stream/consumers";
import { AtollError } from "./errors.ts";

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
 * Errors: those of `work`; LOCK_FILE_UNUSABLE (another user made it); COMMAND_MISSING (flock); INTERRUPTED when `signal`
 * fires while waiting.
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
  await mkdir(dirname(path), { recursive: true }).catch(async (error: unknown) => {
    throw await unusable(path, options.step, error instanceof Error ? error.message : String(error));
  });
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
        throw await notHeld(path, options.step, code, await said);
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

async function notHeld(path: string, step: string, code: number | null, said: string): Promise<Error> {
  if (code === takenCode) return new Taken();
  if (code === null) {
    return new AtollError("COMMAND_MISSING", { step, program: "flock", hint: "package util-linux" });
  }
  return unusable(path, step, said.trim() || "flock gave no reason");
}

/** The error for a lock file that cannot be made or opened: nearly always for its owner's sake. */
async function unusable(path: string, step: string, cause: string): Promise<AtollError> {
  const folder = dirname(path);
  for (const each of [path, folder, dirname(folder)]) {
    const owner = await stat(each).then(
      ({ uid }) => uid,
      () => null,
    );
    if (owner !== null && owner !== process.getuid?.())
      return new AtollError("LOCK_FILE_UNUSABLE", {
        ...{ step, path, folder, cause: `${cause} (${each} belongs to the user with the number ${owner})` },
      });
  }
  return new AtollError("LOCK_FILE_UNUSABLE", { step, path, folder, cause });
}
