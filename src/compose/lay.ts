import { type Dirent, globSync } from "node:fs";
import {
  chmod,
  chown,
  copyFile,
  lstat,
  mkdir,
  readdir,
  readlink,
  realpath,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { AtollError } from "../errors.ts";
import { run } from "../process.ts";
import type { FileRule } from "./treefile.ts";

/** What a file of a treefile may lie under. All else is made by packages, or is a machine's own and not the tree's. */
const ours = ["usr", "etc"];

/**
 * Leaves paths out of the tree at `root`: `patterns` are absolute in the tree, with the wildcards of `fs.glob`.
 * Gives the patterns that met nothing, which a treefile's owner may want to drop.
 */
export async function removePaths(root: string, patterns: readonly string[]): Promise<string[]> {
  const idle: string[] = [];
  for (const pattern of patterns) {
    const found = globSync(`.${pattern}`, { cwd: root });
    if (found.length === 0) idle.push(pattern);
    for (const path of found) await rm(join(root, path), { recursive: true, force: true });
  }
  return idle;
}

/**
 * Lays files of this computer over the tree at `root`; all come to belong to root, with mode 0755 or 0644 unless the
 * rule says another. A file replaces what is there.
 * Errors: FILE_MISPLACED for a path that is not below /usr or /etc, or leaves the tree through a link.
 */
export async function layFiles(root: string, rules: readonly FileRule[]): Promise<void> {
  for (const rule of rules) {
    const from = await stat(rule.from);
    const to = join(root, rule.to);
    if (from.isDirectory()) await layFolder(root, rule, rule.from, to);
    else await layFile(root, rule, rule.from, to);
  }
}

async function layFolder(root: string, rule: FileRule, from: string, to: string): Promise<void> {
  const entries = await readdir(from, { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    await layEntry(root, rule, entry, join(from, entry.name), join(to, entry.name));
  }
}

async function layEntry(
  root: string,
  rule: FileRule,
  entry: Dirent,
  from: string,
  to: string,
): Promise<void> {
  if (entry.isDirectory()) await layFolder(root, rule, from, to);
  else if (entry.isSymbolicLink()) {
    await makeWay(root, from, to);
    await symlink(await readlink(from), to);
  } else if (entry.isFile()) await layFile(root, rule, from, to);
  else
    throw new AtollError("FILE_MISPLACED", {
      file: from,
      problem: "it is neither a file, a folder nor a link",
    });
}

async function layFile(root: string, rule: FileRule, from: string, to: string): Promise<void> {
  await makeWay(root, from, to);
  if (rule.strip) await run(["strip", "--strip-unneeded", "-o", to, from], { step: `stripping ${from}` });
  else await copyFile(from, to);
  const executable = ((await stat(from)).mode & 0o100) !== 0;
  await chown(to, 0, 0);
  await chmod(to, rule.mode ?? (executable ? 0o755 : 0o644));
}

/** Makes the folders above `to` and takes away what `to` replaces. */
async function makeWay(root: string, from: string, to: string): Promise<void> {
  const path = relative(root, to);
  if (!ours.includes(path.split("/")[0] ?? "")) {
    throw new AtollError("FILE_MISPLACED", { file: from, problem: `/${path} is not below /usr or /etc` });
  }
  await makeFolders(root, dirname(to));
  const folder = await realpath(dirname(to));
  if (!`${folder}/`.startsWith(`${root}/`)) {
    throw new AtollError("FILE_MISPLACED", {
      file: from,
      problem: `/${path} leads out of the tree through a link`,
    });
  }
  const there = await lstat(to).catch(() => null);
  if (there?.isDirectory()) {
    throw new AtollError("FILE_MISPLACED", { file: from, problem: `/${path} is a folder in the tree` });
  }
  await rm(to, { force: true });
}

/** Like mkdir -p, with the mode of each new folder sure: the umask takes no part. */
async function makeFolders(root: string, folder: string): Promise<void> {
  if (folder === root || (await lstat(folder).catch(() => null))) return;
  await makeFolders(root, dirname(folder));
  await mkdir(folder);
  await chmod(folder, 0o755);
}
