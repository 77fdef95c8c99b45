import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openToolbox } from "../src/compose/toolbox.ts";
import { applyWrites, readWriteLog, survivingWrites } from "../src/lab/writelog.ts";
import { cacheDirectory } from "../src/paths.ts";
import { silent } from "../src/progress.ts";

const mebibyte = 1024 ** 2;

/** The power-cut tests stand on this: that QEMU writes its log as src/lab/writelog.ts reads it. */
test("a log that QEMU wrote is read as the requests that were made", async (context) => {
  const toolbox = await openToolbox({ cache: cacheDirectory(), progress: silent });
  const folder = await mkdtemp(join(tmpdir(), "atoll-writelog-"));
  context.after(() => rm(folder, { recursive: true }));
  const disk = join(folder, "disk");
  const layer = join(folder, "layer.qcow2");
  const log = join(folder, "log");
  await writeFile(disk, "");
  await truncate(disk, mebibyte);
  await writeFile(log, "");
  const step = "writing to a logged disk";
  await toolbox.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", "raw", layer], { step });
  const node = `driver=blklogwrites,log-sector-size=512,log.driver=file,log.filename=${log},file.driver=qcow2,file.file.driver=file,file.file.filename=${layer}`;
  const requests = [
    ...["write -P 1 0 4k", "write -P 2 4k 512", "flush", "write -P 3 4k 1k", "write -z 16k 8k"],
    ...["discard 32k 4k", "write -P 4 0 512"],
  ];
  const commands = requests.flatMap((request) => ["-c", request]);
  await toolbox.run(["qemu-io", "--image-opts", node, ...commands], { step });

  const read = await readWriteLog(log, mebibyte);
  assert.equal(read.whole, true);
  // QEMU flushes once more as it closes the disk.
  assert.equal(read.entries.at(-1)?.flush, true);
  const made = read.entries.filter(({ flush }, index) => !flush || index === 2);
  assert.deepEqual(
    made.map(({ sector, sectors, flush, discard }) => ({ sector, sectors, flush, discard })),
    [
      { sector: 0, sectors: 8, flush: false, discard: false },
      { sector: 8, sectors: 1, flush: false, discard: false },
      { sector: 0, sectors: 0, flush: true, discard: false },
      { sector: 8, sectors: 2, flush: false, discard: false },
      { sector: 32, sectors: 16, flush: false, discard: false },
      { sector: 64, sectors: 8, flush: false, discard: true },
      { sector: 0, sectors: 1, flush: false, discard: false },
    ],
  );

  // With the power gone before that last flush, and nothing in the disk's cache saved: what was flushed is there.
  const unflushed = read.entries.filter(({ flush }, index) => !flush || index <= 2);
  await applyWrites(
    log,
    read.sectorSize,
    survivingWrites(unflushed, () => 0),
    disk,
  );
  const first = await readFile(disk);
  assert.deepEqual([first[0], first[4096], first[4608]], [1, 2, 0]);
  // With all of it saved: the last of everything.
  await applyWrites(
    log,
    read.sectorSize,
    survivingWrites(unflushed, () => 0.99),
    disk,
  );
  const last = await readFile(disk);
  assert.deepEqual([last[0], last[512], last[4096], last[4608]], [4, 1, 3, 3]);
});
