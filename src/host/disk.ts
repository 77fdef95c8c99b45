import { lstat, readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { FileSystem, Usage } from "./storage.ts";

/** File systems and what lies on them. */
export interface Disk {
  fileSystem(path: string): Promise<FileSystem>;
  /** Of everything under the folder `path` on its own file system. */
  usage(path: string): Promise<Usage>;
}

export function localDisk(): Disk {
  return {
    async fileSystem(path) {
      const [info, file] = await Promise.all([statfs(path), stat(path)]);
      return {
        path,
        device: file.dev,
        size: info.blocks * info.bsize,
        available: info.bavail * info.bsize,
        inodes: info.files,
        inodesFree: info.ffree,
      };
    },
    async usage(path) {
      return walk(path, (await stat(path)).dev);
    },
  };
}

async function walk(path: string, device: number): Promise<Usage> {
  const total = { bytes: 0, inodes: 0, directories: 0 };
  for (const name of await readdir(path).catch(() => [])) {
    const child = join(path, name);
    const file = await lstat(child).catch(() => null);
    if (file?.dev !== device) continue;
    total.inodes += 1;
    total.bytes += file.blocks * 512;
    if (!file.isDirectory()) continue;
    const inside = await walk(child, device);
    total.bytes += inside.bytes;
    total.inodes += inside.inodes;
    total.directories += inside.directories + 1;
  }
  return total;
}
