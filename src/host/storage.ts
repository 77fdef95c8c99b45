/** Free space, and whether an update fits in it. Everything here is bytes, blocks and inodes; nothing acts. */
import type { SizedObject } from "./commit.ts";

/** One file system, from statfs(2). */
export interface FileSystem {
  readonly path: string;
  /** Tells whether two paths are on the same one. */
  readonly device: number;
  readonly size: number;
  readonly available: number;
  readonly inodes: number;
  readonly inodesFree: number;
}

/** What files and folders take on a disk. */
export interface Usage {
  readonly bytes: number;
  readonly inodes: number;
  /** How many of the inodes are directories. */
  readonly directories: number;
}

/** Room for a change. */
interface Room {
  readonly bytes: number;
  readonly inodes: number;
  /** Kernel and initramfs, should they be new. */
  readonly bootBytes: number;
}

export interface Need extends Room {
  /** True where nothing tells: what it can be at the most, as far as one can guess. */
  readonly guessed: boolean;
}

/** What must stay free, as a part of the whole file system. */
export interface Reserve {
  /** Percent of its size. */
  readonly percent: number;
}

/** Only to look: a commit, its signatures, and what libostree writes meanwhile. */
export const needToLook: Need = { guessed: false, bytes: 1_000_000, inodes: 16, bootBytes: 0 };

/** To lay out one more deployment of a tree that is here but does not say its sizes: a guess, on the safe side. */
export const needToLayOut: Need = { guessed: true, bytes: 80_000_000, inodes: 20_000, bootBytes: 0 };

/** Directories are made anew in each deployment; files are links. An empty ext4 directory takes one block. */
const directoryBytes = 4096;

/**
 * What a tree takes on this host, from its `ostree.sizes` and what is there already. A dirtree stands for one
 * directory, but equal ones are stored once; twice their number is more than any tree has had (measured: 1.2 times).
 * What does not say its kind (libostree before 2020.1) may be a directory.
 */
export function needOf(
  objects: readonly SizedObject[],
  missing: (object: SizedObject) => boolean,
  boot: number,
): Need {
  const fetched = objects.filter((object) => missing(object));
  const directories = objects.filter(({ kind }) => kind === "dirtree" || kind === "other").length * 2;
  const blocks = fetched.reduce(
    (sum, object) => sum + Math.ceil(object.unpacked / directoryBytes) * directoryBytes,
    0,
  );
  return {
    guessed: false,
    bytes: blocks + directories * directoryBytes,
    inodes: fetched.length + directories,
    bootBytes: boot,
  };
}

/**
 * A tree that does not say: taken to share nothing with what runs, whose /usr takes `booted`, and to be a tenth larger.
 * Each of its directories is one in the repository and one in the deployment. Where all of it is on this host already
 * (`complete`), only the deployment's are made.
 */
export function guessedNeed(booted: Usage, boot: number, complete: boolean): Need {
  const { bytes, inodes, directories } = booted;
  const made = complete
    ? { bytes: directories * directoryBytes, inodes: directories }
    : { bytes: bytes + directories * directoryBytes, inodes: inodes + directories };
  return {
    guessed: true,
    bytes: Math.ceil(made.bytes * 1.1),
    inodes: Math.ceil(made.inodes * 1.1),
    bootBytes: boot,
  };
}

export interface Shortage {
  readonly where: string;
  readonly what: "space" | "inodes";
  readonly needed: number;
  /** What can be used: what is free beyond the reserve. */
  readonly available: number;
  /** What must be freed for it to fit. */
  readonly missing: number;
}

/** The first thing that `need` lacks, or null when it fits and leaves the reserve. */
export function shortage(need: Room, root: FileSystem, boot: FileSystem, reserve: Reserve): Shortage | null {
  const together = root.device === boot.device;
  const onRoot = need.bytes + (together ? need.bootBytes : 0);
  return (
    spaceShortage(root, onRoot, reserve) ??
    inodeShortage(root, need.inodes, reserve) ??
    (together ? null : spaceShortage(boot, need.bootBytes, reserve))
  );
}

function spaceShortage(system: FileSystem, needed: number, { percent }: Reserve): Shortage | null {
  return lack(system.path, "space", needed, system.available - Math.ceil((system.size * percent) / 100));
}

function inodeShortage(system: FileSystem, needed: number, { percent }: Reserve): Shortage | null {
  // File systems without a fixed number of inodes say zero.
  if (system.inodes === 0) return null;
  return lack(system.path, "inodes", needed, system.inodesFree - Math.ceil((system.inodes * percent) / 100));
}

/** `usable` is below zero where the reserve is already touched. */
function lack(where: string, what: Shortage["what"], needed: number, usable: number): Shortage | null {
  if (needed <= usable) return null;
  return { where, what, needed, available: Math.max(0, usable), missing: needed - usable };
}

/** Something of which little is left. */
export interface Lack {
  /** `space on /var`, `inodes on /boot`: names it from boot to boot. */
  readonly of: string;
  /** One sentence. */
  readonly summary: string;
}

/** What is nearly full among `systems`, each file system once. */
export function lacks(systems: readonly FileSystem[], percent: number): Lack[] {
  const devices = new Set<number>();
  return systems.flatMap((system) => {
    if (devices.has(system.device)) return [];
    devices.add(system.device);
    const { path, available, size, inodes, inodesFree } = system;
    const space = available < (size * percent) / 100;
    const files = inodes > 0 && inodesFree < (inodes * percent) / 100;
    const left = `${shownBytes(available)} of ${shownBytes(size)}`;
    return [
      ...(space ? [{ of: `space on ${path}`, summary: `${path} has only ${left} left` }] : []),
      ...(files
        ? [{ of: `inodes on ${path}`, summary: `${path} has only ${inodesFree} of ${inodes} inodes left` }]
        : []),
    ];
  });
}

/** `bytes` for a person: `3.4 GB`, in powers of a thousand. */
export function shownBytes(bytes: number): string {
  for (const [unit, size] of [
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(bytes < 10 * size ? 1 : 0)} ${unit}`;
  }
  return `${bytes} bytes`;
}
