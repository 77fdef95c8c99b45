import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { test } from "node:test";
import { type FakeMachine, fakeMachine } from "./fake-machine.ts";
import { guessReason, settleTrial } from "./judge.ts";

const signal = new AbortController().signal;

async function withMachine(check: (machine: FakeMachine) => Promise<void>): Promise<void> {
  const machine = await fakeMachine("1.0");
  try {
    machine.well.add(machine.bootIdAt(0));
    await check(machine);
  } finally {
    await machine.remove();
  }
}

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

test("the boot deadline is told how long the judge's own limits are, once in a boot", () =>
  withMachine(async (machine) => {
    const { ports } = machine;
    const told = (): Promise<string> => readFile(ports.paths.judging, "utf8");
    let uptime = 20_000;
    let waits = "";
    const slow: typeof ports = {
      ...ports,
      config: { ...ports.config, health: { ...ports.config.health, startLimit: 600_000, grace: 60_000 } },
      clock: { ...ports.clock, uptime: () => uptime },
      systemd: {
        ...ports.systemd,
        async start() {
          waits ||= await told();
        },
      },
    };
    await settleTrial(slow, signal);
    assert.equal(waits, `${20 + 2 * 600 + 60 + 6 * 20}\n`);
    uptime += 100_000;
    await ports.store.judgement.clear();
    await settleTrial(slow, signal);
    assert.equal(await told(), waits);
  }));

test("a daemon that ended between its verdict and telling the boot deadline tells it at its next start", () =>
  withMachine(async (machine) => {
    const { ports } = machine;
    await settleTrial(ports, signal);
    const verdict = await readFile(ports.paths.verdict, "utf8");
    await rm(ports.paths.verdict);
    await settleTrial(ports, signal);
    assert.equal(await readFile(ports.paths.verdict, "utf8"), verdict);
  }));
