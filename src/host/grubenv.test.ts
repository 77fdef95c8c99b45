import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { bootStateOf, formatGrubenv, grubEnvironment, parseGrubenv, withGood } from "./grubenv.ts";

/** As `grub-editenv` 2.12 wrote it. */
const recorded = `# GRUB Environment Block\natoll_good=a-b\natoll_trial=c-d\natoll_tries=2\n${"#".repeat(1024 - 70)}`;

test("reads a block of grub-editenv's", () => {
  assert.equal(recorded.length, 1024);
  assert.deepEqual(bootStateOf(parseGrubenv(Buffer.from(recorded))), {
    good: "a-b",
    trial: "c-d",
    tries: "2",
  });
});

test("a block that is none holds nothing", () => {
  for (const text of ["", "garbage", "\0".repeat(1024)])
    assert.equal(parseGrubenv(Buffer.from(text)).size, 0);
  assert.deepEqual(bootStateOf(new Map([["atoll_trial", ""]])), { good: null, trial: null, tries: null });
});

const name = fc.stringMatching(/^[a-z_]{1,12}$/);
const value = fc.string({ unit: "grapheme-ascii", maxLength: 30 });

test("what is written is read back, always 1024 bytes", () => {
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 12 }), (entries) => {
      const variables = new Map(Object.entries(entries));
      const block = formatGrubenv(variables);
      assert.equal(block.length, 1024);
      assert.deepEqual(parseGrubenv(block), variables);
    }),
  );
});

test("what does not fit is refused", () => {
  assert.throws(() => formatGrubenv(new Map([["a", "x".repeat(1024)]])), RangeError);
});

test("good ends the trial and keeps what others wrote", () => {
  const before = new Map([
    ["saved_entry", "0"],
    ["atoll_good", "a-b"],
    ["atoll_trial", "c-d"],
    ["atoll_tries", "1"],
  ]);
  assert.deepEqual(
    [...withGood(before, "c-d")],
    [
      ["saved_entry", "0"],
      ["atoll_good", "c-d"],
    ],
  );
});

test("a block that cannot be read is not taken for an empty one, nor written over", async () => {
  const folder = await mkdtemp(join(tmpdir(), "atoll-grubenv-"));
  const path = join(folder, "grubenv");
  const loader = grubEnvironment(path);
  try {
    await symlink("grubenv", path);
    await assert.rejects(loader.read(), { code: "ELOOP" });
    await assert.rejects(loader.write(withGood(new Map(), "a-b")), { code: "ELOOP" });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("the file is written in place, and made when it is missing or too short", async () => {
  const folder = await mkdtemp(join(tmpdir(), "atoll-grubenv-"));
  const path = join(folder, "grubenv");
  const loader = grubEnvironment(path);
  try {
    await writeFile(path, recorded);
    const before = await stat(path);
    await loader.write(withGood(await loader.read(), "c-d"));
    assert.equal((await stat(path)).ino, before.ino);
    assert.equal((await readFile(path)).length, 1024);
    assert.equal(bootStateOf(await loader.read()).good, "c-d");
    for (const damage of ["", "short"]) {
      await writeFile(path, damage);
      assert.equal((await loader.read()).size, 0);
      await loader.write(withGood(new Map(), "e-f"));
      assert.equal((await readFile(path)).length, 1024);
      assert.equal(bootStateOf(await loader.read()).good, "e-f");
    }
    await rm(path);
    assert.equal((await loader.read()).size, 0);
    await loader.write(withGood(new Map(), "g-h"));
    assert.equal(bootStateOf(await loader.read()).good, "g-h");
  } finally {
    await rm(folder, { recursive: true });
  }
});
