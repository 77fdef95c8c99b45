import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import {
  applyWrites,
  firstVolatile,
  type LogEntry,
  parseEntry,
  parseSuperBlock,
  readWriteLog,
  survivingWrites,
} from "./writelog.ts";

const sectorSize = 512;
const diskSectors = 16;

/** A request as a guest makes it; every write is filled with a value of its own. */
interface Request {
  readonly sector: number;
  readonly sectors: number;
  readonly bits: number;
  readonly fill: number;
}

const request = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({
        sector: fc.nat(diskSectors - 1),
        sectors: fc.integer({ min: 1, max: 5 }),
        bits: fc.constantFrom(0, 0, 0, 2),
      })
      .map((r) => ({ ...r, sectors: Math.min(r.sectors, diskSectors - r.sector) })),
  },
  { weight: 1, arbitrary: fc.constant({ sector: 0, sectors: 0, bits: 1 }) },
  { weight: 1, arbitrary: fc.constant({ sector: 4, sectors: 2, bits: 4 }) },
  { weight: 1, arbitrary: fc.constant({ sector: 2, sectors: 2, bits: 1 }) },
);
const requests = fc
  .array(request, { maxLength: 40 })
  .map((list) => list.map((r, index): Request => ({ ...r, fill: index + 1 })));
/** Draws for `survivingWrites`; a law holds for every one of them. */
const draws = fc.array(fc.double({ min: 0, max: 0.999999, noNaN: true }), { minLength: 1, maxLength: 60 });

function randomFrom(values: readonly number[]): () => number {
  let next = 0;
  return () => values[next++ % values.length] ?? 0;
}

function header(sector: number, sectors: number, bits: number): Buffer {
  const bytes = Buffer.alloc(sectorSize);
  bytes.writeBigUInt64LE(BigInt(sector), 0);
  bytes.writeBigUInt64LE(BigInt(sectors), 8);
  bytes.writeBigUInt64LE(BigInt(bits), 16);
  return bytes;
}

function superBlock(entries = 0): Buffer {
  const bytes = Buffer.alloc(sectorSize);
  bytes.writeBigUInt64LE(0x6a736677736872n, 0);
  bytes.writeBigUInt64LE(1n, 8);
  bytes.writeBigUInt64LE(BigInt(entries), 16);
  bytes.writeUInt32LE(sectorSize, 24);
  return bytes;
}

function logOf(list: readonly Request[]): Buffer {
  const parts = [superBlock()];
  for (const { sector, sectors, bits, fill } of list) {
    parts.push(header(sector, sectors, bits));
    if ((bits & 4) === 0) parts.push(Buffer.alloc(sectors * sectorSize, fill));
  }
  return Buffer.concat(parts);
}

async function inFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "atoll-writelog-"));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** First byte of each sector of the disk after the cut. */
async function cut(list: readonly Request[], random: () => number): Promise<number[]> {
  return await inFolder(async (folder) => {
    const file = join(folder, "log");
    const disk = join(folder, "disk");
    await writeFile(file, logOf(list));
    await writeFile(disk, Buffer.alloc(diskSectors * sectorSize));
    const log = await readWriteLog(file, diskSectors * sectorSize);
    assert.equal(log.entries.length, list.length);
    assert.equal(log.whole, true);
    await applyWrites(file, log.sectorSize, survivingWrites(log.entries, random), disk);
    const bytes = await readFile(disk);
    assert.equal(bytes.length, diskSectors * sectorSize);
    return Array.from({ length: diskSectors }, (_, sector) => bytes[sector * sectorSize] ?? -1);
  });
}

function writesData({ sectors, bits }: Request): boolean {
  return sectors > 0 && (bits & 4) === 0;
}

function covers(r: Request, sector: number): boolean {
  return writesData(r) && sector >= r.sector && sector < r.sector + r.sectors;
}

/** Values that a sector may hold: the last one that is there for good, or any later one. */
function possible(list: readonly Request[], sector: number): Set<number> {
  const flush = list.findLastIndex((r) => (r.bits & 1) !== 0);
  let values = new Set([0]);
  for (const [index, r] of list.entries()) {
    if (!covers(r, sector)) continue;
    const durable = index < flush || (r.bits & 2) !== 0;
    values = durable ? new Set([r.fill]) : new Set([...values, r.fill]);
  }
  return values;
}

test("every sector holds what was flushed last, or something written later", async () => {
  await fc.assert(
    fc.asyncProperty(requests, draws, async (list, values) => {
      const disk = await cut(list, randomFrom(values));
      for (const [sector, value] of disk.entries()) {
        assert.ok(possible(list, sector).has(value), `sector ${sector} holds ${value}`);
      }
    }),
    { numRuns: 150 },
  );
});

test("with everything flushed, nothing is left to chance", async () => {
  await fc.assert(
    fc.asyncProperty(requests, draws, async (list, values) => {
      const flushed = [...list, { sector: 0, sectors: 0, bits: 1, fill: 0 }];
      const disk = await cut(flushed, randomFrom(values));
      const expected = disk.map((_, sector) => list.findLast((r) => covers(r, sector))?.fill ?? 0);
      assert.deepEqual(disk, expected);
    }),
    { numRuns: 100 },
  );
});

test("the same draws leave the same disk", () => {
  fc.assert(
    fc.property(requests, draws, (list, values) => {
      const entries = list.map(
        (r): LogEntry => ({
          sector: r.sector,
          sectors: r.sectors,
          flush: (r.bits & 1) !== 0,
          fua: (r.bits & 2) !== 0,
          discard: (r.bits & 4) !== 0,
          dataAt: 0,
        }),
      );
      const survivors = survivingWrites(entries, randomFrom(values));
      assert.deepEqual(survivors, survivingWrites(entries, randomFrom(values)));
      for (const { entry, first, count } of survivors) {
        assert.ok(first >= 0 && count >= 1 && first + count <= entry.sectors);
      }
    }),
  );
});

test("all of it and none of it happen", () => {
  const entry = { sector: 0, sectors: 4, flush: false, fua: false, discard: false, dataAt: 0 };
  const entries = [entry, entry, entry];
  assert.equal(survivingWrites(entries, () => 0).length, 0);
  assert.equal(survivingWrites(entries, () => 0.99).length, 3);
});

test("a flush with data makes durable only what came before it", () => {
  const entry = { sector: 0, sectors: 1, flush: false, fua: false, discard: false, dataAt: 0 };
  assert.equal(firstVolatile([entry, { ...entry, flush: true }, entry]), 1);
  assert.equal(firstVolatile([entry, { ...entry, sectors: 0, flush: true }, entry]), 2);
  assert.equal(firstVolatile([entry]), 0);
});

test("entries end where they stop making sense, whatever the super block counts", async () => {
  const whole = logOf([
    { sector: 0, sectors: 1, bits: 0, fill: 1 },
    { sector: 3, sectors: 2, bits: 0, fill: 2 },
  ]);
  const cases: readonly { readonly tail: Buffer; readonly whole: boolean }[] = [
    { tail: Buffer.alloc(0), whole: true },
    { tail: Buffer.alloc(20, 1), whole: false },
    { tail: Buffer.alloc(4 * sectorSize), whole: false },
    { tail: header(diskSectors, 1, 0), whole: false },
    { tail: header(0, 1, 64), whole: false },
  ];
  for (const { tail, whole: complete } of cases) {
    const log = await inFolder(async (folder) => {
      const file = join(folder, "log");
      await writeFile(file, Buffer.concat([whole, tail]));
      return await readWriteLog(file, diskSectors * sectorSize);
    });
    assert.equal(log.entries.length, 2);
    assert.equal(log.end, whole.length);
    assert.equal(log.whole, complete);
  }
});

test("an entry that QEMU left to the file system is zeroes", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "log");
    const disk = join(folder, "disk");
    await writeFile(file, Buffer.concat([superBlock(), header(1, 2, 0)]));
    await writeFile(disk, Buffer.alloc(4 * sectorSize, 7));
    const log = await readWriteLog(file, 4 * sectorSize);
    await applyWrites(
      file,
      log.sectorSize,
      survivingWrites(log.entries, () => 0.99),
      disk,
    );
    const bytes = await readFile(disk);
    assert.deepEqual(
      [0, 1, 2, 3].map((sector) => bytes[sector * sectorSize]),
      [7, 0, 0, 7],
    );
  });
});

test("what is no log is refused", () => {
  const wrongMagic = superBlock();
  wrongMagic[0] = 0;
  const oddSector = superBlock();
  oddSector.writeUInt32LE(513, 24);
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(10), Buffer.alloc(512), wrongMagic, oddSector]) {
    assert.throws(() => parseSuperBlock(bytes, "log"), { code: "WRITE_LOG_INVALID" });
  }
  assert.equal(parseSuperBlock(superBlock(3), "log"), sectorSize);
});

test("any bytes are an entry within the disk, or none", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const entry = parseEntry(bytes, sectorSize, sectorSize, diskSectors);
      if (!entry) return;
      assert.ok(entry.sector + entry.sectors <= diskSectors);
      assert.ok(
        entry.sectors > 0 || entry.flush || entry.discard || entry.fua || bytes.some((byte) => byte > 0),
      );
    }),
  );
});
