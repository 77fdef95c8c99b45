/**
 * The three-way merge of /etc that libostree makes when a staged deployment is written out: a file that the owner
 * changed stays, every other one is the new tree's. This finds the files that both changed, before it happens.
 */
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { EtcConflict } from "./model.ts";

/**
 * Files below /etc that differ from `before` (the booted tree's defaults) both here and in `after` (the new tree's),
 * and differ from each other. `here` is the running /etc.
 */
export async function findEtcConflicts(before: string, here: string, after: string): Promise<EtcConflict[]> {
  const names = new Set([...(await filesBelow(before)), ...(await filesBelow(after))]);
  const conflicts: EtcConflict[] = [];
  for (const name of [...names].toSorted()) {
    const byTree = await difference(join(before, name), join(after, name));
    if (byTree === null) continue;
    const byOwner = await difference(join(before, name), join(here, name));
    if (byOwner === null || (await difference(join(here, name), join(after, name))) === null) continue;
    conflicts.push({ path: join("/etc", name), here: byOwner, tree: byTree });
  }
  return conflicts;
}

/** Names of all that are not directories, relative to `root`. */
async function filesBelow(root: string, folder = ""): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => []);
  const lists = await Promise.all(
    entries.map(async (entry) => {
      const name = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(root, name) : [name];
    }),
  );
  return lists.flat();
}

/** How the file at `now` differs from the one at `then`; null when it does not. */
async function difference(then: string, now: string): Promise<EtcConflict["here"] | null> {
  const [old, current] = await Promise.all([lstat(then).catch(() => null), lstat(now).catch(() => null)]);
  if (old === null) return current === null ? null : "added";
  if (current === null) return "removed";
  // Deployments share files by hard links: the same inode is the same content.
  if (old.dev === current.dev && old.ino === current.ino) return null;
  if (old.mode !== current.mode || old.uid !== current.uid || old.gid !== current.gid) return "changed";
  if (old.isSymbolicLink()) return (await readlink(then)) === (await readlink(now)) ? null : "changed";
  if (!old.isFile()) return null;
  if (old.size !== current.size) return "changed";
  const [a, b] = await Promise.all([readFile(then), readFile(now)]);
  return a.equals(b) ? null : "changed";
}
