import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { layOutDisk, sfdiskScript } from "./disk-layout.ts";

const mebibyte = 1024 * 1024;

test("partitions follow each other without overlap and leave room for the second partition table", () => {
  fc.assert(
    fc.property(fc.integer({ min: 129, max: 1 << 20 }), (size) => {
      const { bios, efi, root } = layOutDisk(size * mebibyte);
      assert.equal(bios.start, mebibyte);
      assert.equal(efi.start, bios.start + bios.size);
      assert.equal(root.start, efi.start + efi.size);
      assert.equal(root.start + root.size, (size - 1) * mebibyte);
      for (const { start, size: length } of [bios, efi, root]) {
        assert.ok(length > 0 && start % mebibyte === 0 && length % mebibyte === 0);
      }
    }),
  );
});

test("sfdisk is told sectors", () => {
  const lines = sfdiskScript(layOutDisk(3072 * mebibyte))
    .trim()
    .split("\n");
  assert.equal(lines[0], "label: gpt");
  assert.match(lines[2] ?? "", /^start=2048, size=2048, .*name=bios$/);
  assert.match(lines[3] ?? "", /^start=4096, size=131072, .*name=esp$/);
  assert.match(lines[4] ?? "", /^start=135168, size=6154240, .*name=atoll-root$/);
});
