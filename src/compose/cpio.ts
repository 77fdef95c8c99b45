/** A file for a cpio archive. Folders on the way to it need not be listed. */
export type CpioEntry =
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | { readonly kind: "folder"; readonly path: string; readonly mode: number }
  | { readonly kind: "console"; readonly path: string };

const types = { file: 0o100000, link: 0o120000, folder: 0o040000, console: 0o020000 } as const;

/**
 * Writes an archive in the "newc" format, which the kernel unpacks as its initramfs (Documentation/driver-api/
 * early-userspace/buffer-format.rst in the Linux sources). The same entries in any order give the same bytes: sorted
 * by path, owned by root, time 0, inodes counted from 1. Paths are relative, without a leading slash.
 * Two entries of one path: the later one wins.
 */
export function cpioArchive(entries: readonly CpioEntry[]): Uint8Array {
  const byPath = new Map<string, CpioEntry>();
  for (const entry of entries) {
    for (const path of foldersAbove(entry.path)) {
      if (!byPath.has(path)) byPath.set(path, { kind: "folder", path, mode: 0o755 });
    }
    byPath.set(entry.path, entry);
  }
  // A folder's path is a prefix of its files' paths, so this order has it before them.
  const sorted = [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const parts = sorted.map((entry, index) => member(entry, index + 1));
  return Buffer.concat([...parts, member({ kind: "file", path: "TRAILER!!!", mode: 0, data: empty }, 0)]);
}

const empty = new Uint8Array();

function foldersAbove(path: string): string[] {
  const names = path.split("/").slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}

function member(entry: CpioEntry, inode: number): Buffer {
  const data = entry.kind === "file" ? entry.data : entry.kind === "link" ? Buffer.from(entry.target) : empty;
  const name = Buffer.from(`${entry.path}\0`);
  // The console is the one device: character, major 5, minor 1.
  const [major, minor] = entry.kind === "console" ? [5, 1] : [0, 0];
  const mode = inode === 0 ? 0 : types[entry.kind] | permissions(entry);
  const links = inode === 0 ? 1 : entry.kind === "folder" ? 2 : 1;
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name])), padded(Buffer.from(data))]);
}

function permissions(entry: CpioEntry): number {
  switch (entry.kind) {
    case "file":
    case "folder":
      return entry.mode;
    case "link":
      return 0o777;
    case "console":
      return 0o600;
  }
}

/** `bytes` with zeros up to a multiple of four. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
