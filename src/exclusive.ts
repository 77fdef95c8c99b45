import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { AtollError } from "./errors.ts";

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
 * Errors: those of `work`; INTERRUPTED when `signal` fires while waiting.
 */
export async function withExclusive<T>(
  path: string,
  options: ExclusiveOptions,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  // Node has no flock(2): a child holds it, and lets go when our end of its standard input closes.
  const holder = spawn("flock", ["--exclusive", path, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "ignore"],
    detached: true,
  });
  const closed = once(holder, "close");
  const waiting = setTimeout(() => options.onWait?.(), 300);
  try {
    await Promise.race([
      once(holder.stdout, "data", options.signal ? { signal: options.signal } : {}),
      closed.then(() => {
        throw new AtollError("COMMAND_MISSING", {
          step: options.step,
          program: "flock",
          hint: "package util-linux",
        });
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
