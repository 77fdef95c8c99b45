import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { TreeFile } from "../test/trees.ts";

/** What no tree of ours takes from a package (src/compose/base.ts). */
const leftOut = /^usr\/share\/(bash-completion|bug|doc|fish|info|lintian|locale|man|zsh)\//;

/** The files and links below `folder`, an unpacked package, as they are laid over a tree. */
export async function readFolder(folder: string): Promise<Record<string, TreeFile>> {
  const files: Record<string, TreeFile> = {};
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const file = join(entry.parentPath, entry.name);
    const path = file.slice(folder.length + 1).replace(/^etc\//, "usr/etc/");
    if (entry.isDirectory() || leftOut.test(path)) continue;
    if (entry.isSymbolicLink()) files[path] = { linkTo: await readlink(file) };
    else files[path] = { content: await readFile(file), mode: (await lstat(file)).mode & 0o7777 };
  }
  return files;
}
