import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { placeBiosBoot } from "./bios.ts";

const boot = Buffer.alloc(512, 0xaa);

test("the boot code finds the core, and the core finds the rest of itself", () => {
  const core = Buffer.alloc(3 * 512 - 100, 0xcc);
  const placed = placeBiosBoot(boot, core, 2048, 2048);
  const code = Buffer.from(placed.bootCode);
  assert.equal(code.length, 440);
  assert.equal(code.readBigUInt64LE(0x5c), 2048n);
  assert.equal(code.readUInt8(0x64), 0xff);
  assert.equal(code.readUInt16LE(0x66), 0x9090);
  const whole = Buffer.from(placed.core);
  assert.equal(whole.length, 3 * 512);
  assert.equal(whole.readBigUInt64LE(500), 2049n);
  assert.equal(whole.readUInt16LE(508), 2);
  assert.equal(whole.readUInt16LE(510), 0x820);
});

test("nothing else of the images changes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 600, maxLength: 4000 }), (core) => {
      const placed = placeBiosBoot(boot, core, 34, 16);
      const changed = Buffer.from(placed.core.subarray(0, core.length));
      changed.set(core.subarray(500, 512), 500);
      assert.deepEqual(changed, Buffer.from(core));
      assert.ok(placed.core.subarray(core.length).every((byte) => byte === 0));
    }),
  );
});

test("what cannot boot is refused", () => {
  assert.throws(() => placeBiosBoot(boot, Buffer.alloc(512 * 9), 34, 8), /9 sectors.* has 8/);
  assert.throws(() => placeBiosBoot(boot, Buffer.alloc(100), 34, 8), RangeError);
  assert.throws(() => placeBiosBoot(Buffer.alloc(10), Buffer.alloc(2048), 34, 8), RangeError);
});
