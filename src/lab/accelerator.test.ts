import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Toolbox } from "../compose/toolbox.ts";
import { hasCode } from "../errors.ts";
import { chooseAccelerator, probeFirmware } from "./accelerator.ts";

/** A toolbox whose programs must not be run. */
const untouched: Toolbox = {
  ...{ root: "/nonexistent", id: "toolbox-0", pinned: true, rootless: false },
  run: () => Promise.reject(new Error("nothing is to be run")),
  argv: () => {
    throw new Error("nothing is to be run");
  },
};

test("what the owner says is not tried", async () => {
  const lab = await mkdtemp(join(tmpdir(), "atoll-accelerator-"));
  try {
    for (const wish of ["kvm", "tcg"] as const) {
      const env = { ATOLL_ACCELERATOR: wish };
      const { accelerator } = await chooseAccelerator({ toolbox: untouched, lab, env });
      assert.equal(accelerator, wish);
    }
    await assert.rejects(
      chooseAccelerator({ toolbox: untouched, lab, env: { ATOLL_ACCELERATOR: "xen" } }),
      (error) => hasCode(error, "USAGE"),
    );
    assert.deepEqual(await readdir(lab), []);
  } finally {
    await rm(lab, { recursive: true });
  }
});

test("the probe is a firmware whose last bytes jump to its first, and whose table is where it looks for it", () => {
  const firmware = Buffer.from(probeFirmware());
  assert.equal(firmware.length, 0x10000);
  // jmp f000:0000 at the address where the processor starts.
  assert.equal(firmware.subarray(0xfff0, 0xfff5).toString("hex"), "ea000000f0");
  // lgdt cs:[0x80] finds there the limit and the address of the descriptor table, 0xf0070.
  assert.equal(firmware.subarray(0x80, 0x86).toString("hex"), "0f0070000f00");
  // The jump into 64-bit mode leads to the instruction after it.
  const jump = firmware.indexOf(Buffer.from("66ea", "hex"));
  assert.equal(firmware.readUInt32LE(jump + 2), 0xf0000 + jump + 8);
});
