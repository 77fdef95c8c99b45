/** The disk's partitions, as the boot contract has them (docs/architecture.md). Sizes and places are in bytes. */

const mebibyte = 1024 * 1024;
export const sectorSize = 512;

export interface Partition {
  readonly start: number;
  readonly size: number;
}

export interface DiskLayout {
  readonly size: number;
  /** GRUB's core for machines that boot by BIOS. */
  readonly bios: Partition;
  /** The EFI system partition: shim and GRUB. Never written at run time. */
  readonly efi: Partition;
  /** Everything else, with /boot. The last one, so that it can grow. */
  readonly root: Partition;
}

export const rootLabel = "atoll-root";

/** Lays out a disk of `size` bytes, a whole number of MiB above 128. */
export function layOutDisk(size: number): DiskLayout {
  const bios = { start: mebibyte, size: mebibyte };
  const efi = { start: bios.start + bios.size, size: 64 * mebibyte };
  const start = efi.start + efi.size;
  // The last MiB belongs to the second copy of the partition table.
  return { size, bios, efi, root: { start, size: size - start - mebibyte } };
}

/** Partition types by the UEFI specification, GRUB, and the Discoverable Partitions Specification. */
const partitionTypes = {
  bios: "21686148-6449-6E6F-744E-656564454649",
  efi: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
  root: "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
} as const;

/** Fixed ids: the same tree makes the same disk. */
const ids = {
  disk: "A7011A7A-0000-4000-8000-000000000000",
  bios: "A7011A7A-0000-4000-8000-000000000001",
  efi: "A7011A7A-0000-4000-8000-000000000002",
  root: "A7011A7A-0000-4000-8000-000000000003",
} as const;

/** The file system on the root partition, and the seed of its directory hashes. */
export const rootIds = {
  uuid: "a7011a7a-0000-4000-8000-000000000004",
  hashSeed: "a7011a7a-0000-4000-8000-000000000005",
} as const;

/** What sfdisk(8) reads to write the partition table of `layout`. */
export function sfdiskScript(layout: DiskLayout): string {
  const line = (name: "bios" | "efi" | "root", label: string): string => {
    const { start, size } = layout[name];
    const place = `start=${start / sectorSize}, size=${size / sectorSize}`;
    return `${place}, type=${partitionTypes[name]}, uuid=${ids[name]}, name=${label}`;
  };
  const table = ["label: gpt", `label-id: ${ids.disk}`];
  return `${[...table, line("bios", "bios"), line("efi", "esp"), line("root", rootLabel)].join("\n")}\n`;
}
