import assert from "node:assert/strict";
import type { Firmware } from "../src/lab/qemu.ts";
import { assertWell, booted } from "./expect.ts";
import { scenario } from "./scenario.ts";

// BIOS is what all other tests boot by.
for (const firmware of ["uefi", "secureboot"] as const satisfies Firmware[]) {
  scenario(firmware, async (step, bed, machine) => {
    await step(`the disk boots by ${firmware}`, async () => {
      assertWell(await bed.boot(machine, { firmware }));
      // Firmware built without Secure Boot has no such variable.
      const { stdout } = await machine.ssh(`cd /sys/firmware/efi/efivars
        od -An -tu1 -j4 SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c 2>/dev/null || echo '   0'
        cat /sys/kernel/security/lockdown`);
      const secure = firmware === "secureboot";
      assert.match(stdout, secure ? /^ +1\n/ : /^ +0\n/);
      assert.equal(/\[(integrity|confidentiality)\]/.test(stdout), secure, stdout);
    });

    await step(`an update goes through its trial by ${firmware}: GRUB can count there`, async () => {
      const tree = await bed.offer();
      await machine.changeAndReboot("upgrade", { mode: "reboot" });
      const verdict = await machine.judged();
      assertWell(verdict);
      assert.deepEqual([verdict.boot, verdict.attempt], ["trial", 1]);
      assert.equal(booted(await machine.status()).checksum, tree.checksum);
    });
  });
}
