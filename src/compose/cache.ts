/** What lies in the cache: of which kind, how large, used when, and whether somebody needs it now. */
import type { Dirent, Stats } from "node:fs";
import { lstat, readdir, readlink, realpath } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError } from "../errors.ts";
import { runAsOwner, toolboxPath } from "./toolbox.ts";

/**
 * Everything that Atoll puts into the cache, by where it is. Nothing else in that folder is ever touched. All of it can
 * be made or fetched again.
 */
const places = [
  { kind: "toolbox", folder: "", name: /^toolbox-[0-9a-f]{12}(-unpinned)?$/ },
  { kind: "base-trees", folder: "", name: /^trees$/ },
  { kind: "package", folder: "debs", name: /^[0-9a-f]{64}\.deb$/ },
  { kind: "package-lists", folder: "apt", name: /^[0-9a-f]{12}$/ },
  { kind: "initramfs", folder: "initramfs", name: /^[0-9a-f]{16}\.img$/ },
  { kind: "image", folder: "images", name: /^[0-9a-f]{16}\.qcow2$/ },
  { kind: "sample", folder: "", name: /^sample-web$/ },
  { kind: "compiled-code", folder: "node", name: /^v\d+\.\d+\.\d+-/ },
  { kind: "failed-test", folder: "failed-tests", name: /^\d{4}-\d\d-\d\dT/ },
  { kind: "log", folder: "", name: /^base-[0-9a-f]{16}\.log$/ },
  { kind: "log", folder: "logs", name: /^\d{4}-\d\d-\d\dT.*\.log$/ },
  // What was being made when its maker was killed.
  { kind: "leftover", folder: "", name: /^(toolbox-[0-9a-f]{12}(-unpinned)?|trees)\.(new|new\.tar|old)$/ },
  { kind: "leftover", folder: "", name: /^(tree-[0-9a-f]{16}-\d+|base-[0-9a-f]{16})$/ },
  { kind: "leftover", folder: "", name: /^(bench|changelog|test|test-reproducible)-\w{6}$/ },
  { kind: "leftover", folder: "debs", name: /^[0-9a-f]{64}\.deb\.\d+\.part$/ },
  { kind: "leftover", folder: "initramfs", name: /^([0-9a-f]{16}\.img\.\d+(\.new)?|\.initramfs-\w{6})$/ },
  { kind: "leftover", folder: "images", name: /^\.(atoll-)?image-\w{6}$/ },
] as const;

export type CacheKind = (typeof places)[number]["kind"];

export interface CacheEntry {
  readonly kind: CacheKind;
  /** Its path below the cache. */
  readonly name: string;
  /** What it takes on the disk; what two entries share counts for the first. */
  readonly bytes: number;
  /** ISO 8601; of a package, an image and their like the last compose or lab that needed it. */
  readonly usedAt: string;
  /** Why it must stay now; null when it may go. */
  readonly inUse: string | null;
}

/** An entry whose size has not been looked up yet. */
export interface FoundEntry extends Omit<CacheEntry, "bytes"> {
  readonly path: string;
  readonly isFolder: boolean;
}

/** Everything of ours in the folder `cache`, with sizes; nothing when there is no such folder. */
export async function listCache(cache: string, signal?: AbortSignal): Promise<CacheEntry[]> {
  return measure(await findEntries(cache), signal);
}

/** The same without sizes. `proc` is where the running programs are. */
export async function findEntries(folderOfAll: string, proc = "/proc"): Promise<FoundEntry[]> {
  // The kernel tells of a program's root by its real path.
  const cache = await realpath(folderOfAll).catch(missing);
  if (cache === null) return [];
  const roots = await rootsOfPrograms(proc);
  const own = await toolboxPath(cache);
  const found: FoundEntry[] = [];
  for (const { kind, folder, name: pattern } of places) {
    for (const entry of await namesIn(join(cache, folder))) {
      // A link leads to what somebody else answers for.
      if (!pattern.test(entry.name) || entry.isSymbolicLink()) continue;
      const path = join(cache, folder, entry.name);
      const about = await lstat(path).catch(missing);
      if (about === null) continue;
      const usedAt = new Date(Math.max(changed(about), await lastUse(kind, path))).toISOString();
      const inUse = whyInUse(kind, path, about, own, roots);
      const isFolder = about.isDirectory();
      found.push({ kind, name: join(folder, entry.name), path, isFolder, usedAt, inUse });
    }
  }
  return found;
}

async function namesIn(folder: string): Promise<Dirent[]> {
  return (await readdir(folder, { withFileTypes: true }).catch(missing)) ?? [];
}

function missing(error: unknown): null {
  if (isSystemError(error, "ENOENT", "ENOTDIR")) return null;
  throw error;
}

/** Programs may set the other times as they like, and archives bring old ones; to mark a file as used changes this one. */
function changed({ ctimeMs }: Stats): number {
  return ctimeMs;
}

/** When something last used what is at `path`, where its own change does not tell; 0 if nothing says so. */
async function lastUse(kind: CacheKind, path: string): Promise<number> {
  const markers = async (folder: string): Promise<string[]> =>
    (await namesIn(folder)).map(({ name }) => join(folder, name));
  const told: Partial<Record<CacheKind, () => Promise<string[]>>> = {
    toolbox: async () => [`${path}.lock`],
    "base-trees": () => markers(join(path, "refs/heads/base")),
    "package-lists": () => markers(path),
  };
  const files = (await told[kind]?.()) ?? [];
  const times = await Promise.all(files.map(async (file) => lstat(file).then(changed).catch(missing)));
  return Math.max(0, ...times.map((time) => time ?? 0));
}

function whyInUse(
  kind: CacheKind,
  path: string,
  { nlink }: Stats,
  ownToolbox: string,
  roots: ReadonlyMap<string, number>,
): string | null {
  if (kind === "toolbox" && [ownToolbox, `${ownToolbox}-unpinned`].includes(path)) return "this Atoll's own";
  const programs = roots.get(path) ?? 0;
  if (programs > 0) return programs === 1 ? "a program runs in it" : `${programs} programs run in it`;
  // The lab takes images as hard links: to remove this name would free nothing.
  if (kind === "image" && nlink > 1) return "a machine of the lab is made of it";
  return null;
}

/** How many programs have which folder as their root, but for `/`; those that cannot be looked at are left out. */
async function rootsOfPrograms(proc: string): Promise<Map<string, number>> {
  const roots = new Map<string, number>();
  for (const { name } of await namesIn(proc)) {
    if (!/^\d+$/.test(name)) continue;
    const root = await readlink(join(proc, name, "root")).catch(() => "/");
    if (root !== "/") roots.set(root, (roots.get(root) ?? 0) + 1);
  }
  return roots;
}

/** Looks up sizes: all at once, as files that lie in two entries by hard links count once. */
export async function measure(found: readonly FoundEntry[], signal?: AbortSignal): Promise<CacheEntry[]> {
  if (found.length === 0) return [];
  const { stdout } = await runAsOwner(["du", "--block-size=1", "--summarize", "--null", "--files0-from=-"], {
    step: "looking up sizes",
    input: found.map(({ path }) => `${path}\0`).join(""),
    // What goes away meanwhile is told on standard error.
    accept: [0, 1],
    ...(signal && { signal }),
  });
  const sizes = new Map<string, number>();
  for (const line of stdout.split("\0")) {
    const [, bytes, path] = /^(\d+)\t(.*)$/s.exec(line) ?? [];
    if (path !== undefined) sizes.set(path, Number(bytes));
  }
  return found.map(({ kind, name, path, usedAt, inUse }) => {
    return { kind, name, bytes: sizes.get(path) ?? 0, usedAt, inUse };
  });
}
