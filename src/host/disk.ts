import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { FileSystem } from "./storage.ts";

/** File systems and what lies on them. */
export interface Disk {
  fileSystem(path: string): Promise<FileSystem>;
  /** Bytes on disk and inodes of everything under `path` on its own file system. */
  usage(path: string): Promise<{ readonly bytes: number; readonly inodes: number }>;
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

async function walk(path: string, device: number): Promise<{ bytes: number; inodes: number }> {
  const total = { bytes: 0, inodes: 0 };
  for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
    const child = join(path, entry.name);
    const file = await stat(child).catch(() => null);
    if (entry.isSymbolicLink() || file?.dev !== device) continue;
    total.inodes += 1;
    total.bytes += file.blocks * 512;
    if (!entry.isDirectory()) continue;
    const inside = await walk(child, device);
    total.bytes += inside.bytes;
    total.inodes += inside.inodes;
  }
  return total;
}
