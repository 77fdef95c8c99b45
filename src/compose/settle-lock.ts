import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hasCode } from "../errors.ts";
import { withExclusive } from "../exclusive.ts";
import type { Progress } from "../progress.ts";
import { fetchDebs } from "./debs.ts";
import { type Lock, lockHash, lockPath, lockRequest, readLock, writeLock } from "./lock.ts";
import { resolveLock } from "./resolve.ts";
import type { Toolbox } from "./toolbox.ts";
import type { Treefile } from "./treefile.ts";
import { joinLines } from "./users.ts";

export interface LockState {
  readonly file: string;
  readonly value: Lock;
  /** True when this run resolved it: it may then still take in ids that packages bring. */
  readonly fresh: boolean;
}

interface SettleOptions {
  readonly toolbox: Toolbox;
  readonly cache: string;
  /** `stateDirectory()`: locks/ holds what stands in for locks whose packages are gone. */
  readonly state: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  readonly updateLock?: boolean;
  readonly whenGone?: "renew" | "fail";
}

/**
 * Finds the lock of a treefile, or makes it, and brings its packages into the cache:
 * - A treefile that asks for the very packages of one that it includes shares that one's lock.
 * - One that asks for more keeps the versions of that lock and resolves the rest.
 * - One that asks for other packages than when its lock was made keeps the versions of those it still asks for.
 * - One whose packages Debian no longer has is stood in for by a renewed copy in the state folder, if an earlier run made
 *   one or `whenGone` asks for it. The lock itself is written only when it is made, adapted or asked to be updated: it is
 *   its owner's, and may be checked in.
 * `notes` tells what a person should know of it.
 * Errors: LOCK_INVALID, PACKAGES_UNRESOLVED, PACKAGES_GONE, PACKAGES_UNFETCHED, COMMAND_FAILED, INTERRUPTED.
 */
export async function settleLock(
  treefile: Treefile,
  options: SettleOptions,
): Promise<{ lock: LockState; notes: string[] }> {
  return resolvingAlone(lockPath(treefile.path), options, () => settleAlone(treefile, options));
}

/** Two runs that resolve the same lock at once would use the same scratch of apt and write the same file. */
async function resolvingAlone<T>(file: string, options: SettleOptions, work: () => Promise<T>): Promise<T> {
  const waiting = {
    step: "waiting for the packages to be settled",
    onWait: () => options.progress.detail("another compose of this treefile does it; waiting"),
    ...(options.signal && { signal: options.signal }),
  };
  return withExclusive(`${workFolder(file, options)}.lock`, waiting, work);
}

async function settleAlone(
  treefile: Treefile,
  options: SettleOptions,
): Promise<{ lock: LockState; notes: string[] }> {
  const { own, below } = await findLocks(treefile);
  const base = below.at(-1) ?? null;
  const shared = below.findLast(({ value }) => value.request === lockRequest(treefile)) ?? null;
  const notes: string[] = [];
  if (shared && options.updateLock)
    notes.push(`its packages are those of ${shared.file}: renew that one instead`);
  const choice = chooseLock(treefile, own, base, shared, options.updateLock ?? false);
  if (choice.note) notes.push(choice.note);
  if (choice.keep) {
    try {
      await fetchDebs(choice.keep.value, treefile, options);
      return { lock: choice.keep, notes };
    } catch (error) {
      if (!hasCode(error, "PACKAGES_GONE")) throw error;
      const { keep } = choice;
      const file = join(options.state, "locks", `${lockHash(keep.value).slice(0, 16)}.lock`);
      // Other treefiles may share the lock.
      const lock = await resolvingAlone(file, options, () => standIn(treefile, keep, file, options, error));
      notes.push(
        `Debian no longer has some packages of ${choice.keep.file}: the newest were taken, as ${lock.file} says;` +
          " `atoll compose --update-lock` renews the lock itself",
      );
      return { lock, notes };
    }
  }
  const file = lockPath(treefile.path);
  const value = await resolveOnTop(treefile, file, choice, base, options, notes);
  await fetchDebs(value, treefile, options);
  await writeLock(file, value);
  return { lock: { file, value, fresh: true }, notes };
}

/**
 * The lock in `file` that stands in for `gone`, whose packages Debian no longer has: that of an earlier run, or, if wanted, one made
 * now of the newest packages. Throws `error`, which told of it, when there is none.
 */
async function standIn(
  treefile: Treefile,
  gone: LockState,
  file: string,
  options: SettleOptions,
  error: unknown,
): Promise<LockState> {
  const known = await readLock(file);
  try {
    if (known === null) throw error;
    await fetchDebs(known, treefile, options);
    return { file, value: known, fresh: false };
  } catch (again) {
    if (options.whenGone !== "renew" || !hasCode(again, "PACKAGES_GONE")) throw again;
  }
  const work = workFolder(file, options);
  const before = known ?? gone.value;
  const resolved = await resolveLock(treefile, { ...options, work, before, hold: null });
  const value = { ...resolved, base: gone.value.base };
  await fetchDebs(value, treefile, options);
  await mkdir(dirname(file), { recursive: true });
  await writeLock(file, value);
  return { file, value, fresh: true };
}

/** Scratch of apt, kept for the next time that a lock is resolved for the same file. */
function workFolder(file: string, { cache }: SettleOptions): string {
  return join(cache, "apt", createHash("sha256").update(file).digest("hex").slice(0, 12));
}

interface LockChoice {
  /** The lock to compose from; null when one is to be resolved. */
  readonly keep: LockState | null;
  /** The lock whose versions a new one keeps. */
  readonly hold: LockState | null;
  readonly before: LockState | null;
  readonly note: string | null;
}

/** Which lock serves, out of the treefile's own, that of the treefile below it, and one for the very same packages. */
export function chooseLock(
  treefile: Treefile,
  own: LockState | null,
  base: LockState | null,
  shared: LockState | null,
  update: boolean,
): LockChoice {
  if (shared) return { keep: shared, hold: null, before: shared, note: null };
  if (!own || update) return { keep: null, hold: base, before: own, note: null };
  if (own.value.base !== (base ? lockHash(base.value) : null)) {
    const note = `${own.file} was renewed: ${base?.file ?? "what it builds on"} is another than when it was made`;
    return { keep: null, hold: base, before: own, note };
  }
  if (own.value.request !== lockRequest(treefile)) {
    return {
      keep: null,
      hold: own,
      before: own,
      note: `${own.file} was adapted to the packages asked for now`,
    };
  }
  return { keep: own, hold: null, before: own, note: null };
}

/** The treefile's own lock, and those of the treefiles below it, the nearest last. */
async function findLocks(treefile: Treefile): Promise<{ own: LockState | null; below: LockState[] }> {
  const read = async (path: string): Promise<LockState | null> => {
    const file = lockPath(path);
    const value = await readLock(file);
    return value && { file, value, fresh: false };
  };
  const below: LockState[] = [];
  for (const source of treefile.sources.slice(0, -1)) {
    const lock = await read(source);
    if (lock) below.push(lock);
  }
  return { own: await read(treefile.path), below };
}

async function resolveOnTop(
  treefile: Treefile,
  file: string,
  choice: LockChoice,
  base: LockState | null,
  options: SettleOptions,
  notes: string[],
): Promise<Lock> {
  const work = workFolder(file, options);
  const before = choice.before?.value ?? null;
  const resolve = (hold: Lock | null): Promise<Lock> =>
    resolveLock(treefile, { ...options, work, before, hold });
  let value: Lock;
  if (choice.hold) {
    const { hold } = choice;
    try {
      await fetchDebs(hold.value, treefile, options);
      value = await resolve(hold.value);
    } catch (error) {
      if (!hasCode(error, "PACKAGES_UNRESOLVED", "PACKAGES_GONE")) throw error;
      value = await resolve(null);
      notes.push(
        `the versions in ${hold.file} could not be kept: all packages were resolved to Debian's newest`,
      );
    }
  } else value = await resolve(null);
  const named = {
    ...value,
    base: base ? lockHash(base.value) : null,
    users: joinLines(base?.value.users, value.users),
    groups: joinLines(base?.value.groups, value.groups),
  };
  return before && sameLock(before, named) ? before : named;
}

function sameLock(a: Lock, b: Lock): boolean {
  return lockHash(a) === lockHash(b) && a.request === b.request && a.base === b.base;
}
