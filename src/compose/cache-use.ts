/** How those who work with the cache keep what they need of it from being removed meanwhile. */
import { open, utimes } from "node:fs/promises";
import { join } from "node:path";
import { withShared } from "../exclusive.ts";
import type { Progress } from "../progress.ts";

export interface CacheUse {
  readonly cache: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** Whoever works with the cache shares this lock; whoever removes things from it has it alone. */
export function useLock(cache: string): string {
  return join(cache, "use.lock");
}

/** Runs `work`, while which nothing is removed from the cache. Errors: those of `work`; INTERRUPTED. */
export async function usingCache<T>(
  { cache, progress, signal }: CacheUse,
  work: () => Promise<T>,
): Promise<T> {
  const lock = {
    step: "waiting for the cache",
    onWait: () => progress.detail("`atoll cache prune` is at work; waiting"),
    ...(signal && { signal }),
  };
  return withShared(useLock(cache), lock, work);
}

/** Notes that `file` of the cache, made when absent, is used now: what nobody has used for long is removed first. */
export async function markUsed(file: string): Promise<void> {
  const now = new Date();
  await (await open(file, "a")).close();
  await utimes(file, now, now);
}
