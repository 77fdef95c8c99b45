import { type FileHandle, open } from "node:fs/promises";
import { AtollError } from "../errors.ts";

/*
 * Real power cuts lose what the disk had not flushed. QEMU's `blklogwrites` block driver writes down every write
 * of a guest, in the format of Linux's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst):
 * one super block, then for each request a header padded to a sector, then its data.
 *
 * After the machine was killed this builds the disk as a real disk could be: all that was flushed, and any part
 * of what came later. A request that was under way while a flush ran counts as flushed by it, because the log
 * does not say when a request began; that is the one thing in which this disk is kinder than a real one.
 */

const magic = 0x6a736677736872n;
const version = 1n;
/** Bytes of a header that mean something; the rest of its sector is padding. */
const headerBytes = 32;
/** Bytes read at once when looking for headers: some small requests together. */
const windowBytes = 64 * 1024;
/** Bytes copied at once from the log to the disk. */
const copyBytes = 1024 * 1024;

const flags = { flush: 1, fua: 2, discard: 4, mark: 8, metadata: 16 } as const;
const allFlags = flags.flush | flags.fua | flags.discard | flags.mark | flags.metadata;

/** One request of the guest. Sectors are of the log's sector size. */
export interface LogEntry {
  /** First sector on the disk. */
  readonly sector: number;
  /** Sectors written or discarded; 0 for a mere flush. */
  readonly sectors: number;
  /** All that came before this entry is on the disk for good. */
  readonly flush: boolean;
  /** "Force unit access": this write itself was on the disk for good when it was reported done. */
  readonly fua: boolean;
  /** The guest needs these sectors no more; there is no data. */
  readonly discard: boolean;
  /** Where its data begins in the log file, in bytes. */
  readonly dataAt: number;
}

/** A log of writes as read. */
export interface WriteLog {
  /** Bytes of a sector. */
  readonly sectorSize: number;
  /** Requests in the order in which they were done. */
  readonly entries: readonly LogEntry[];
  /** Where the next entry would begin in the file, in bytes. */
  readonly end: number;
  /**
   * False when the file goes on after `end`: QEMU was stopped between two requests that it wrote down at the same
   * time, and the earlier one is missing. What follows cannot be read; let QEMU go on for a moment.
   */
  readonly whole: boolean;
}

/** A run of sectors of one write, counted from the write's own first sector. */
export interface SectorRun {
  readonly first: number;
  readonly count: number;
}

/** A write that reached the disk, whole or in part. */
export interface SurvivingWrite extends SectorRun {
  readonly entry: LogEntry;
}

/** Sector size from a log's super block. Throws WRITE_LOG_INVALID. */
export function parseSuperBlock(bytes: Uint8Array, file: string): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 28) throw new AtollError("WRITE_LOG_INVALID", { file, problem: "it is too short" });
  if (view.getBigUint64(0, true) !== magic || view.getBigUint64(8, true) !== version) {
    throw new AtollError("WRITE_LOG_INVALID", { file, problem: "it is no log of version 1" });
  }
  const sectorSize = view.getUint32(24, true);
  if (sectorSize < 512 || (sectorSize & (sectorSize - 1)) !== 0) {
    throw new AtollError("WRITE_LOG_INVALID", { file, problem: `a sector of ${sectorSize} bytes` });
  }
  return sectorSize;
}

/**
 * One entry from its header's bytes, or undefined where none was written: the super block's count of entries is
 * brought up to date only now and then, so that the end of the log is where entries stop making sense.
 * `at` is where the header lies in the file; `diskSectors` the size of the disk.
 */
export function parseEntry(
  bytes: Uint8Array,
  at: number,
  sectorSize: number,
  diskSectors: number,
): LogEntry | undefined {
  if (bytes.byteLength < headerBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sector = view.getBigUint64(0, true);
  const sectors = view.getBigUint64(8, true);
  const bits = view.getBigUint64(16, true);
  const disk = BigInt(diskSectors);
  if (sector > disk || sectors > disk - sector || bits > BigInt(allFlags)) return undefined;
  const set = Number(bits);
  if (sectors === 0n && set === 0) return undefined;
  return {
    sector: Number(sector),
    sectors: (set & flags.mark) === 0 ? Number(sectors) : 0,
    flush: (set & flags.flush) !== 0,
    fua: (set & flags.fua) !== 0,
    discard: (set & flags.discard) !== 0,
    dataAt: at + sectorSize,
  };
}

/** Reads the log in `file`, taken of a disk of `diskBytes`. Throws WRITE_LOG_INVALID. */
export async function readWriteLog(file: string, diskBytes: number): Promise<WriteLog> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    const window = new Window(handle);
    const sectorSize = parseSuperBlock(await window.at(0, headerBytes), file);
    const entries: LogEntry[] = [];
    let at = sectorSize;
    while (true) {
      const header = await window.at(at, headerBytes);
      const entry = parseEntry(header, at, sectorSize, Math.floor(diskBytes / sectorSize));
      if (!entry) break;
      entries.push(entry);
      at = entry.dataAt + dataBytes(entry, sectorSize);
    }
    return { sectorSize, entries, end: at, whole: size <= at };
  } finally {
    await handle.close();
  }
}

function dataBytes(entry: LogEntry, sectorSize: number): number {
  return entry.discard ? 0 : entry.sectors * sectorSize;
}

/** Reads small pieces of a file that lie close together without a system call for each. */
class Window {
  readonly #file: FileHandle;
  readonly #buffer = Buffer.alloc(windowBytes);
  #start = 0;
  #length = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** The `count` bytes at `position`, fewer at the end of the file; good until the next call. */
  async at(position: number, count: number): Promise<Uint8Array> {
    if (position < this.#start || position + count > this.#start + this.#length) {
      const { bytesRead } = await this.#file.read(this.#buffer, 0, windowBytes, position);
      this.#start = position;
      this.#length = bytesRead;
    }
    const from = position - this.#start;
    return this.#buffer.subarray(from, Math.min(from + count, this.#length));
  }
}

/** Index of the first entry that no flush made durable. */
export function firstVolatile(entries: readonly LogEntry[]): number {
  const last = entries.findLastIndex((entry) => entry.flush);
  const entry = entries[last];
  // A flush that carries data makes durable what came before it, not its own data.
  return entry && hasData(entry) ? last : last + 1;
}

function hasData(entry: LogEntry): boolean {
  return entry.sectors > 0 && !entry.discard;
}

/**
 * What is on the disk after the power went: in order, every write up to the last flush, every later one with FUA,
 * and of the rest as many as `random` (numbers from 0 up to 1) says, some of them torn to a run of their sectors.
 * How much of the rest survives is itself drawn, so that "all of it" and "none of it" happen too.
 * A discard changes nothing: what a disk gives back after one is not said, and the old data is the hardest case.
 */
export function survivingWrites(entries: readonly LogEntry[], random: () => number): SurvivingWrite[] {
  const durable = firstVolatile(entries);
  const share = Math.min(1, Math.max(0, random() * 1.5 - 0.25));
  const survivors: SurvivingWrite[] = [];
  for (const [index, entry] of entries.entries()) {
    if (!hasData(entry)) continue;
    if (index < durable || entry.fua) survivors.push({ entry, first: 0, count: entry.sectors });
    else if (random() < share) survivors.push({ entry, ...maybeTorn(entry.sectors, random) });
  }
  return survivors;
}

/** One write in eight is torn: a disk promises no more than single sectors. */
function maybeTorn(sectors: number, random: () => number): SectorRun {
  if (sectors === 1 || random() >= 1 / 8) return { first: 0, count: sectors };
  const first = Math.floor(random() * sectors);
  return { first, count: 1 + Math.floor(random() * (sectors - first)) };
}

/** Copies `writes` from the log in `file` to the raw disk image `disk`, in place, in order. */
export async function applyWrites(
  file: string,
  sectorSize: number,
  writes: readonly SurvivingWrite[],
  disk: string,
): Promise<void> {
  const source = await open(file, "r");
  try {
    const target = await open(disk, "r+");
    try {
      const buffer = Buffer.alloc(copyBytes);
      for (const { entry, first, count } of writes) {
        await copy(source, entry.dataAt + first * sectorSize, target, (entry.sector + first) * sectorSize, {
          bytes: count * sectorSize,
          buffer,
        });
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function copy(
  source: FileHandle,
  from: number,
  target: FileHandle,
  to: number,
  { bytes, buffer }: { readonly bytes: number; readonly buffer: Buffer },
): Promise<void> {
  for (let done = 0; done < bytes; ) {
    const want = Math.min(buffer.length, bytes - done);
    const { bytesRead } = await source.read(buffer, 0, want, from + done);
    // The log file ends early only where its last entry is a write of zeroes, which QEMU leaves to the file system.
    if (bytesRead === 0) buffer.fill(0, 0, want);
    const got = bytesRead === 0 ? want : bytesRead;
    await target.write(buffer, 0, got, to + done);
    done += got;
  }
}
