import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CpioEntry, cpioArchive } from "./cpio.ts";

const data = (text: string) => Buffer.from(text);

/** Names and contents out of an archive, read by the format's own description. */
function members(archive: Uint8Array): { name: string; mode: number; inode: number; data: string }[] {
  const bytes = Buffer.from(archive);
  const found = [];
  for (let at = 0; ; ) {
    assert.equal(bytes.toString("latin1", at, at + 6), "070701");
    const field = (index: number) =>
      Number.parseInt(bytes.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameEnd = at + 110 + field(11);
    const name = bytes.toString("utf8", at + 110, nameEnd - 1);
    const start = (nameEnd + 3) & ~3;
    const end = start + field(6);
    if (name === "TRAILER!!!") return found;
    found.push({ name, inode: field(0), mode: field(1), data: bytes.toString("utf8", start, end) });
    at = (end + 3) & ~3;
  }
}

const sample: CpioEntry[] = [
  { kind: "file", path: "usr/bin/tool", mode: 0o755, data: data("abcde") },
  { kind: "link", path: "bin", target: "usr/bin" },
  { kind: "console", path: "dev/console" },
  { kind: "folder", path: "proc", mode: 0o555 },
];

test("folders come before what they hold, and with the modes asked for", () => {
  assert.deepEqual(
    members(cpioArchive(sample)).map(({ name, mode }) => [name, mode.toString(8)]),
    [
      ["bin", "120777"],
      ["dev", "40755"],
      ["dev/console", "20600"],
      ["proc", "40555"],
      ["usr", "40755"],
      ["usr/bin", "40755"],
      ["usr/bin/tool", "100755"],
    ],
  );
});

test("the order of the entries makes no difference", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(sample, { minLength: sample.length }), (shuffled) => {
      assert.deepEqual(cpioArchive(shuffled), cpioArchive(sample));
    }),
  );
});

test("contents of every length come back, and every inode is its own", () => {
  const paths = fc.stringMatching(/^[a-z]{1,9}(\/[a-z]{1,9}){0,3}$/);
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(paths, fc.string()), { selector: ([path]) => path }), (files) => {
      // A file cannot be a folder too.
      const kept = files.filter(([path]) => !files.some(([other]) => other.startsWith(`${path}/`)));
      const entries = kept.map(
        ([path, text]): CpioEntry => ({ kind: "file", path, mode: 0o644, data: data(text) }),
      );
      const found = members(cpioArchive(entries));
      const texts = new Map(
        found.filter(({ mode }) => mode >> 12 === 8).map(({ name, data: text }) => [name, text]),
      );
      assert.deepEqual(texts, new Map(kept.map(([path, text]) => [path, data(text).toString()])));
      assert.equal(new Set(found.map(({ inode }) => inode)).size, found.length);
    }),
  );
});
