import assert from "node:assert/strict";
import type { StatusResponse } from "../src/api/types.ts";
import { atoll } from "./atoll.ts";
import type { TestBed } from "./bed.ts";
import { assertRefused, assertWell, booted } from "./expect.ts";
import type { TestMachine } from "./machine.ts";
import { scenario } from "./scenario.ts";
import { faults, hangingInitramfs, initramfsWith, type TreeFile } from "./trees.ts";

interface Fault {
  readonly name: string;
  files(bed: TestBed): Promise<Readonly<Record<string, TreeFile>>>;
  /** What each of the reasons must be that the host remembers. */
  readonly reasons: RegExp;
}

/** Nothing had reached the disk yet that could tell more. */
const early = /^ended before its log reached the disk/;

const trees: readonly Fault[] = [
  {
    name: "a health check that says no",
    files: async () => faults.unhealthy,
    reasons: /^required\.d\/50-test\.sh ended with exit code 1$/,
  },
  { name: "a kernel that panics", files: async () => faults.panic, reasons: early },
  { name: "an init that is missing", files: async () => faults.noInit, reasons: early },
  { name: "an init that hangs", files: async () => faults.hangingInit, reasons: early },
  {
    name: "an initramfs that hangs",
    files: async (bed) => initramfsWith(bed.trees, hangingInitramfs),
    reasons: early,
  },
  {
    name: "a daemon that never starts",
    files: async () => faults.noDaemon,
    reasons: /^no verdict on this boot/,
  },
];

scenario("fallback", async (step, bed, machine) => {
  await step("a machine comes up", async () => assertWell(await bed.boot(machine)));

  for (const fault of trees) {
    await step(`${fault.name}: falls back by itself`, async () => {
      const tree = await bed.offer(await fault.files(bed));
      await machine.changeAndReboot("upgrade", { mode: "reboot" });
      const status = await fallenBack(machine, bed.trees.base);

      const bad = status.bad.find(({ checksum }) => checksum === tree.checksum);
      assert.ok(bad, "it is remembered");
      assert.deepEqual(
        bad.boots.map(({ attempt }) => attempt),
        [1, 2, 3],
      );
      for (const { reasons } of bad.boots) assert.match(reasons.join("; "), fault.reasons);
      await assertTold(machine, tree.version);
      await assertRefused(machine, "REMEMBERED_BAD", () => machine.change("upgrade", { mode: "stage" }));
    });
  }

  await step("a bad kernel argument: falls back by itself", async () => {
    const before = booted(await machine.status()).kernelArguments;
    // The last root= is the one that counts.
    await machine.changeAndReboot("kargs", {
      append: ["root=LABEL=nowhere", "atoll.rootwait=3"],
      reboot: true,
    });
    const status = await fallenBack(machine, bed.trees.base);
    assert.deepEqual(booted(status).kernelArguments, before);
    const bad = status.bad.find(({ kernelArguments }) => kernelArguments.includes("root=LABEL=nowhere"));
    assert.ok(bad && bad.checksum === bed.trees.base, "the arguments are remembered with the tree");
  });

  await step("a good kernel argument goes through its trial", async () => {
    await machine.changeAndReboot("kargs", { append: ["atoll.test=1"], reboot: true });
    const verdict = await machine.judged();
    assertWell(verdict);
    assert.equal(verdict.boot, "trial");
    const { stdout } = await machine.ssh("cat /proc/cmdline");
    assert.match(stdout, / atoll\.test=1 /);
  });

  await step("a good tree is taken after all that", async () => {
    const tree = await bed.offer();
    await machine.changeAndReboot("upgrade", { mode: "reboot" });
    assertWell(await machine.judged());
    assert.equal(booted(await machine.status()).checksum, tree.checksum);
  });
});

/** Waits, without lending a hand, until the machine is back on `good` and has written down what happened. */
async function fallenBack(machine: TestMachine, good: string): Promise<StatusResponse> {
  assertWell(await machine.judged(({ boot }) => boot === "fallback"));
  const status = await machine.until(({ trial }) => trial.state === "settled" || trial.state === "good");
  assert.equal(booted(status).checksum, good);
  assert.ok(
    status.deployments.every((deployment) => deployment.bootId === booted(status).bootId),
    "the one that failed is no longer deployed",
  );
  return status;
}

/** What a person sees of it. */
async function assertTold(machine: TestMachine, version: string): Promise<void> {
  for (const command of ["status", "history"]) {
    const { stdout, stderr } = await atoll(machine.name, "host", command);
    assert.ok(stdout.includes(version), `atoll host ${command} does not name ${version}: ${stdout}${stderr}`);
  }
}
