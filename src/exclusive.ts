import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { text } from "node:stream/consumers";
import { AtollError, isSystemError } from "./errors.ts";

interface ExclusiveOptions {
  /** What the lock guards, in a person's words: names the step in INTERRUPTED. */
  readonly step: string;
  readonly signal?: AbortSignal;
  /** Called once when somebody else holds the lock and this call has to wait for it. */
  readonly onWait?: () => void;
}

/**
 * Runs `work` while this process alone holds the lock file `path` (made when absent, never removed).
 * The lock is flock(2)'s: the kernel drops it when the holder ends, however it ends, so none is ever stale.
 * Errors: those of `work`; LOCK_FILE_UNUSABLE (another user made it); COMMAND_MISSING (flock); INTERRUPTED when `signal` fires while waiting.
 */
export async function withExclusive<T>(
  path: string,
  options: ExclusiveOptions,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true }).catch(async (error: unknown) => {
    throw await unusable(path, options, error instanceof Error ? error.message : String(error));
  });
  // Node has no flock(2): a child holds it, and lets go when our end of its standard input closes.
  const holder = spawn("flock", ["--exclusive", path, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  const complaints = text(holder.stderr);
  // Without the program there is an error in place of the end.
  const closed = once(holder, "close").catch((error: unknown) => {
    throw isSystemError(error, "ENOENT")
      ? new AtollError("COMMAND_MISSING", {
          ...{ step: options.step, program: "flock", hint: "package util-linux" },
        })
      : error;
  });
  const waiting = setTimeout(() => options.onWait?.(), 300);
  try {
    await Promise.race([
      once(holder.stdout, "data", options.signal ? { signal: options.signal } : {}),
      closed.then(async () => {
        throw await unusable(path, options, (await complaints).trim() || "flock gave no reason");
      }),
    ]);
    clearTimeout(waiting);
    return await work();
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") {
      throw new AtollError("INTERRUPTED", { step: options.step }, error);
    }
    throw error;
  } finally {
    clearTimeout(waiting);
    holder.stdin.destroy();
    holder.kill();
    await closed.catch(() => {});
  }
}

/** The error for a lock file that cannot be made or opened: nearly always for its owner's sake. */
async function unusable(path: string, { step }: ExclusiveOptions, cause: string): Promise<AtollError> {
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
