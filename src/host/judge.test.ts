import assert from "node:assert/strict";
import { test } from "node:test";
import { guessReason } from "./judge.ts";

test("the log of a boot without a verdict tells why, as far as it can", () => {
  const deadline = "[  300.1] host atoll-deadline[466]: no verdict on this boot after 300 seconds: rebooting";
  const cases = [
    [
      [deadline, "[  301.0] host systemd[1]: Stopping"],
      "no verdict on this boot after 300 seconds: rebooting",
    ],
    [
      ["[ 5.0] host kernel: Kernel panic - not syncing: sysrq triggered crash", deadline],
      "Kernel panic - not syncing: sysrq triggered crash",
    ],
    [
      ["[ 5.0] host kernel: watchdog: BUG: soft lockup - CPU#0 stuck"],
      "watchdog: BUG: soft lockup - CPU#0 stuck",
    ],
    [["[ 5.0] host sshd[3]: something"], "ended without a verdict: by a reset or a watchdog"],
    [[], "ended before its log reached the disk: in the kernel, in the initramfs, or by a reset"],
  ] as const;
  for (const [log, reason] of cases) assert.equal(guessReason(log), reason);
});
