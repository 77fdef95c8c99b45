import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FileSystem, guessedNeed, lacks, needOf, shortage, shownBytes } from "./storage.ts";

const root: FileSystem = { path: "/", device: 1, size: 1e9, available: 5e8, inodes: 1000, inodesFree: 500 };
const boot: FileSystem = { ...root, path: "/boot", device: 2, size: 1e8, available: 5e7 };
const reserve = { percent: 5 };

test("it fits, or the first lack is named with what can be used", () => {
  assert.equal(shortage({ bytes: 4e8, inodes: 100, bootBytes: 1e7 }, root, boot, reserve), null);
  const space = shortage({ bytes: 4.6e8, inodes: 100, bootBytes: 0 }, root, boot, reserve);
  assert.deepEqual(space, { where: "/", what: "space", needed: 4.6e8, available: 4.5e8, missing: 1e7 });
  const inodes = shortage({ bytes: 1, inodes: 460, bootBytes: 0 }, root, boot, reserve);
  assert.deepEqual(inodes, { where: "/", what: "inodes", needed: 460, available: 450, missing: 10 });
  const kernel = shortage({ bytes: 1, inodes: 1, bootBytes: 4.6e7 }, root, boot, reserve);
  assert.deepEqual(kernel, { where: "/boot", what: "space", needed: 4.6e7, available: 4.5e7, missing: 1e6 });
});

test("where the reserve is touched already, it must be freed too", () => {
  const full = { ...root, available: 1e7 };
  const lack = shortage({ bytes: 1e6, inodes: 1, bootBytes: 0 }, full, boot, reserve);
  assert.deepEqual([lack?.available, lack?.missing], [0, 4.1e7]);
});

test("where /boot is on the root, both needs are one", () => {
  const together = { ...root, path: "/boot" };
  assert.equal(shortage({ bytes: 4e8, inodes: 1, bootBytes: 6e7 }, root, together, reserve)?.needed, 4.6e8);
});

test("a file system that counts no inodes lacks none", () => {
  const endless = { ...root, inodes: 0, inodesFree: 0 };
  assert.equal(shortage({ bytes: 1, inodes: 1e9, bootBytes: 0 }, endless, endless, reserve), null);
});

test("only what is missing counts, in whole blocks, and every directory twice", () => {
  const objects = [
    { checksum: "a", fetched: 10, unpacked: 5000, kind: "file" },
    { checksum: "b", fetched: 10, unpacked: 1, kind: "file" },
    { checksum: "c", fetched: 10, unpacked: 100, kind: "dirtree" },
  ] as const;
  assert.deepEqual(
    needOf(objects, ({ checksum }) => checksum !== "b", 7),
    {
      guessed: false,
      bytes: 8192 + 4096 + 2 * 4096,
      inodes: 2 + 2,
      bootBytes: 7,
    },
  );
});

test("an object that does not say its kind may be a directory", () => {
  const object = { checksum: "a", fetched: 1, unpacked: 1, kind: "other" } as const;
  assert.equal(needOf([object], () => true, 0).inodes, 3);
});

test("a tree that does not tell its sizes is taken to share nothing with what runs, and to be larger", () => {
  const usage = { bytes: 1e8, inodes: 1000, directories: 100 };
  assert.deepEqual(guessedNeed(usage, 7, false), {
    guessed: true,
    bytes: Math.ceil((1e8 + 100 * 4096) * 1.1),
    inodes: Math.ceil(1100 * 1.1),
    bootBytes: 7,
  });
  const here = guessedNeed(usage, 7, true);
  assert.deepEqual([here.bytes, here.inodes], [Math.ceil(409_600 * 1.1), 111], "only directories are made");
});

test("more need never fits better", () => {
  const size = fc.nat({ max: 1e9 });
  fc.assert(
    fc.property(size, size, (bytes, more) => {
      const small = shortage({ bytes, inodes: 1, bootBytes: 0 }, root, boot, reserve);
      const large = shortage({ bytes: bytes + more, inodes: 1, bootBytes: 0 }, root, boot, reserve);
      assert.ok(small === null || large !== null);
    }),
  );
});

test("what is nearly full is told once for each file system", () => {
  const full = { ...root, path: "/var", available: 1e7, inodesFree: 3 };
  assert.deepEqual(lacks([full, { ...full, path: "/boot" }, boot], 2), [
    { of: "space on /var", summary: "/var has only 10 MB of 1.0 GB left" },
    { of: "inodes on /var", summary: "/var has only 3 of 1000 inodes left" },
  ]);
  assert.deepEqual(lacks([root, boot], 2), []);
});

test("bytes for people", () => {
  assert.deepEqual([999, 1500, 2.5e6, 4.2e7, 3.44e9].map(shownBytes), [
    "999 bytes",
    "1.5 kB",
    "2.5 MB",
    "42 MB",
    "3.4 GB",
  ]);
});
