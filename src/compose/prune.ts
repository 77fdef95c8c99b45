/** Removing from the cache what nobody needs any more. */
import { rename, rm } from "node:fs/promises";
import { tryExclusive, withExclusive } from "../exclusive.ts";
import type { Progress } from "../progress.ts";
import { type CacheEntry, type CacheKind, type FoundEntry, findEntries, measure } from "./cache.ts";
import { useLock } from "./cache-use.ts";
import { runAsOwner } from "./toolbox.ts";

interface PruneOptions {
  readonly cache: string;
  /** Milliseconds for which nobody has used what goes. */
  readonly olderThan: number;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  /** Milliseconds since 1970; the real time when absent. */
  readonly now?: number;
}

export interface Pruned {
  readonly removed: readonly CacheEntry[];
  /** Old enough, but needed. */
  readonly kept: readonly CacheEntry[];
}

const dayMs = 86_400_000;

/** What a compose tidies away by itself: what is made again from what is here, or would be fetched anew anyway. */
const remade: readonly CacheKind[] = [
  "toolbox",
  "base-trees",
  "package-lists",
  "initramfs",
  "image",
  "leftover",
  "log",
];
const tidyAfter = 30 * dayMs;

/**
 * Removes what nobody has used for `olderThan`, and what interrupted work left a day ago. Whoever works with the cache
 * is waited for. Nothing that is in use goes, and nothing that is not ours. Errors: COMMAND_FAILED, INTERRUPTED; what
 * was removed until then is gone.
 */
export async function pruneCache(options: PruneOptions): Promise<Pruned> {
  const { cache, progress, signal } = options;
  const lock = {
    step: "waiting for the cache",
    onWait: () => progress.detail("an atoll works with it; waiting"),
    ...(signal && { signal }),
  };
  return withExclusive(useLock(cache), lock, async () => {
    const { removed, kept } = choose(options, await findEntries(cache));
    progress.step("removing what is not used");
    return remove(options, removed, kept);
  });
}

/** What `pruneCache` would do. */
export async function previewPrune(options: PruneOptions): Promise<Pruned> {
  const { removed, kept } = choose(options, await findEntries(options.cache));
  return { removed: await measure(removed, options.signal), kept: await measure(kept, options.signal) };
}

/**
 * At the end of work with the cache: removes what is certainly stale, unless somebody works with the cache, for the next
 * one will do as well. Gives what was removed. Errors: as `pruneCache`.
 */
export async function tidyCache(options: Omit<PruneOptions, "olderThan">): Promise<readonly CacheEntry[]> {
  const { cache, signal } = options;
  const lock = { step: "tidying the cache", ...(signal && { signal }) };
  const pruned = await tryExclusive(useLock(cache), lock, async () => {
    const ours = (await findEntries(cache)).filter(({ kind }) => remade.includes(kind));
    const { removed } = choose({ ...options, olderThan: tidyAfter }, ours);
    return remove({ ...options, olderThan: tidyAfter }, removed, []);
  });
  return pruned?.removed ?? [];
}

interface Chosen {
  readonly removed: readonly FoundEntry[];
  readonly kept: readonly FoundEntry[];
}

function choose({ olderThan, now = Date.now() }: PruneOptions, found: readonly FoundEntry[]): Chosen {
  const old = found.filter(({ kind, usedAt }) => {
    const limit = kind === "leftover" ? Math.min(olderThan, dayMs) : olderThan;
    return now - Date.parse(usedAt) >= limit;
  });
  return {
    removed: old.filter(({ inUse }) => inUse === null),
    kept: old.filter(({ inUse }) => inUse !== null),
  };
}

async function remove(
  options: PruneOptions,
  chosen: readonly FoundEntry[],
  inUse: readonly FoundEntry[],
): Promise<Pruned> {
  const sizes = await measure(chosen, options.signal);
  const removed: CacheEntry[] = [];
  const kept = [...(await measure(inUse, options.signal))];
  for (const [index, found] of chosen.entries()) {
    const entry = sizes[index];
    if (!entry) continue;
    options.progress.detail(entry.name);
    if (await removeOne(found, options.signal)) removed.push(entry);
    else kept.push({ ...entry, inUse: "another atoll works with it" });
  }
  return { removed, kept };
}

/** False when somebody holds its lock after all: an Atoll that does not know of the cache's own lock. */
async function removeOne({ kind, path, isFolder }: FoundEntry, signal?: AbortSignal): Promise<boolean> {
  if (kind === "toolbox" || kind === "base-trees") {
    const lock = { step: `removing ${path}`, ...(signal && { signal }) };
    const done = await tryExclusive(`${path}.lock`, lock, async () => {
      // Half of one must never be taken for a whole one.
      await removeFolder(`${path}.old`, signal);
      await rename(path, `${path}.old`);
      await removeFolder(`${path}.old`, signal);
      return {};
    });
    return done !== null;
  }
  if (isFolder) await removeFolder(path, signal);
  else await rm(path, { force: true });
  // Its lock is taken only by those who work with the cache, of whom there is none now.
  if (kind === "image") await rm(`${path}.lock`, { force: true });
  return true;
}

async function removeFolder(path: string, signal?: AbortSignal): Promise<void> {
  await runAsOwner(["rm", "-rf", "--one-file-system", "--", path], {
    step: "removing from the cache",
    ...(signal && { signal }),
  });
}
