import type { CacheEntry, CacheKind } from "../compose/cache.ts";

/** What each kind of thing in the cache is called: one of it, and several. */
const names: Readonly<Record<CacheKind, readonly [string, string]>> = {
  toolbox: ["toolbox", "toolboxes"],
  "base-trees": ["store of base trees", "stores of base trees"],
  package: ["package", "packages"],
  "package-lists": ["set of package lists", "sets of package lists"],
  initramfs: ["initramfs", "initramfs"],
  image: ["disk image", "disk images"],
  sample: ["sample container", "sample containers"],
  "compiled-code": ["cache of compiled code", "caches of compiled code"],
  "failed-test": ["failed test's evidence", "failed tests' evidence"],
  log: ["log", "logs"],
  leftover: ["leftover", "leftovers"],
};

/** `1 toolbox`, `412 packages`. */
export function counted(kind: CacheKind, count: number): string {
  return `${count} ${names[kind][count === 1 ? 0 : 1]}`;
}

/** Entries by kind, in the order in which the kinds first come. */
export function byKind(entries: readonly CacheEntry[]): (readonly [CacheKind, readonly CacheEntry[]])[] {
  return [...Map.groupBy(entries, ({ kind }) => kind)];
}

export function bytesOf(entries: readonly CacheEntry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}
