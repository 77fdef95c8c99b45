import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../errors.ts";
import { ask, hostOf, live, versions, withMachine } from "./fake-host.ts";
import { type FakeMachine, PowerCut } from "./fake-machine.ts";
import { checksumOf, writeTree } from "./fake-ostree.ts";
import { type Host, openHost } from "./host.ts";
import { openOperations } from "./operations.ts";

const signal = new AbortController().signal;

test("an update that comes up well becomes good", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    const done = await ask(hostOf(machine), "upgrade", {});
    assert.equal(done.result?.summary, "1.1 boots next", done.error?.message);
    assert.deepEqual(await versions(machine), ["1.1 staged", "1.0 booted"]);
    await machine.boot(true);
    machine.well.add(machine.bootIdAt(0));
    assert.equal((await hostOf(machine).status(signal)).trial.state, "on-trial");
    assert.equal(await live(machine), 1);
    assert.deepEqual(await versions(machine), ["1.1 booted", "1.0"]);
    assert.equal(machine.environment.get("atoll_good"), machine.bootIdAt(0));
    assert.equal((await hostOf(machine).status(signal)).trial.state, "good");
    assert.equal(await machine.ports.store.intent.read(), null);
    const judged = machine.history.filter(({ kind }) => kind === "verdict").map(({ version }) => version);
    assert.deepEqual(judged, ["1.0", "1.1"]);
  }));

test("an update that does not falls back by itself, is remembered, and is not tried again unasked", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    await ask(hostOf(machine), "upgrade", { mode: "reboot" });
    await machine.boot(true);
    assert.equal(await live(machine), 4, "three tries and the fallback");
    const status = await hostOf(machine).status(signal);
    assert.equal(status.trial.state, "settled");
    assert.deepEqual(await versions(machine), ["1.0 booted"]);
    const [bad] = status.bad;
    assert.equal(bad?.version, "1.1");
    assert.deepEqual(bad?.reasons, ["broken.service failed"]);
    assert.deepEqual(
      bad?.boots.map((boot) => boot.attempt),
      [1, 2, 3],
    );
    assert.ok(machine.history.some(({ kind }) => kind === "fallback"));

    const refused = await ask(hostOf(machine), "upgrade", {});
    assert.equal(refused.error?.code, "REMEMBERED_BAD");
    assert.ok(machine.history.some(({ kind }) => kind === "refused"));

    const asked = await ask(hostOf(machine), "deploy", { target: "1.1" });
    assert.equal(asked.state, "done", asked.error?.message);
    await machine.boot(true);
    machine.well.add(machine.bootIdAt(0));
    await live(machine);
    assert.deepEqual(await versions(machine), ["1.1 booted", "1.0"]);
    assert.deepEqual(await machine.bad(), [], "what comes up well is no longer bad");
  }));

test("a bad tree stays bad when an argument changes, until it proves itself", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    await ask(hostOf(machine), "upgrade", {});
    await machine.boot(true);
    await live(machine);
    await ask(hostOf(machine), "kargs", { append: ["quiet"] });
    await machine.boot(true);
    machine.well.add(machine.bootIdAt(0));
    await live(machine);
    assert.equal((await ask(hostOf(machine), "upgrade", {})).error?.code, "REMEMBERED_BAD");
    assert.equal((await ask(hostOf(machine), "deploy", { target: "1.1" })).state, "done");
    await machine.boot(false);
    await live(machine);
    assert.deepEqual(await versions(machine), ["1.1 staged", "1.0 booted", "1.0"], "asked for by name");
    await machine.boot(true);
    machine.well.add(machine.bootIdAt(0));
    await live(machine);
    assert.deepEqual(
      (await machine.bad()).map(({ blame, kernelArguments }) => [blame, kernelArguments]),
      [["pair", ["rw"]]],
    );
  }));

test("the machine reboots only when the outcome has been told", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    const { ports } = machine;
    const operations = openOperations({ clock: ports.clock, log: ports.log, marker: ports.store.marker });
    const seen: unknown[] = [];
    const systemd = {
      ...ports.systemd,
      reboot: async () => {
        seen.push(operations.list()[0]?.state, await ports.store.marker.read());
      },
    };
    const host = openHost({ ...ports, systemd }, operations);
    await host.settle(signal);
    await host.begin("upgrade", { mode: "reboot" });
    await operations.stop();
    assert.deepEqual(operations.list()[0]?.error?.code, "INTERRUPTED", "stopped before it began");
    assert.deepEqual(seen, []);
    const done = await ask(host, "upgrade", { mode: "reboot" });
    assert.equal(done.result?.deployment?.version, "1.1");
    assert.deepEqual(seen, ["done", null]);
  }));

test("kernel arguments alone are on trial, and fall back alone", () =>
  withMachine(async (machine) => {
    await ask(hostOf(machine), "kargs", { append: ["bad=1"], reboot: true });
    await machine.boot(true);
    assert.match(machine.commandLine, /atoll\.boot=trial-1/);
    await live(machine);
    const status = await hostOf(machine).status(signal);
    assert.deepEqual(await versions(machine), ["1.0 booted"]);
    assert.deepEqual(status.bad[0]?.kernelArguments, ["rw", "bad=1"]);
    const refused = await ask(hostOf(machine), "kargs", { append: ["bad=1"] });
    assert.equal(refused.error?.code, "KARGS_REMEMBERED_BAD");
    const again = await ask(hostOf(machine), "kargs", { append: ["bad=1"], again: true });
    assert.equal(again.state, "done");
  }));

/** `machine` with so little left that nothing more can be laid out. */
function full(machine: FakeMachine): Host {
  const { ports } = machine;
  const fileSystem: typeof ports.disk.fileSystem = async (path) => ({
    ...(await ports.disk.fileSystem(path)),
    available: 3e8,
    size: 5e9,
  });
  const operations = openOperations({ clock: ports.clock, log: ports.log, marker: ports.store.marker });
  return openHost({ ...ports, disk: { ...ports.disk, fileSystem } }, operations);
}

test("kernel arguments that do not fit are refused, and what was lost is not staged again where it does not", () =>
  withMachine(async (machine) => {
    assert.equal((await ask(full(machine), "kargs", { append: ["quiet"] })).error?.code, "NO_SPACE");
    assert.deepEqual(await versions(machine), ["1.0 booted"]);
    await ask(hostOf(machine), "kargs", { append: ["quiet"] });
    await machine.boot(false);
    await full(machine).settle(signal);
    assert.deepEqual(await versions(machine), ["1.0 booted"]);
    assert.equal(await machine.ports.store.intent.read(), null);
    assert.match(machine.history.at(-1)?.reasons[0] ?? "", /does not fit/);
  }));

test("rollback goes back, and a second one stays", () =>
  withMachine(async (machine) => {
    assert.equal((await ask(hostOf(machine), "rollback", {})).error?.code, "NO_ROLLBACK");
    machine.newest = { version: "1.1" };
    await ask(hostOf(machine), "upgrade", {});
    await machine.boot(true);
    machine.well.add(machine.bootIdAt(0));
    await live(machine);
    await ask(hostOf(machine), "rollback", {});
    assert.deepEqual(await versions(machine), ["1.0", "1.1 booted"]);
    await ask(hostOf(machine), "rollback", {});
    assert.deepEqual(await versions(machine), ["1.1 booted", "1.0"]);
    await ask(hostOf(machine), "rollback", {});
    await machine.boot(true);
    assert.match(machine.commandLine, /atoll\.boot=trial-1/);
    await live(machine);
    assert.deepEqual(await versions(machine), ["1.0 booted", "1.1"]);
  }));

test("only an operation that has to wait for the verdict says that it waits", () =>
  withMachine(async (machine) => {
    const steps = async (settle: "before" | "after"): Promise<string[]> => {
      const host = hostOf(machine);
      if (settle === "before") await host.settle(signal);
      const { id } = await host.begin("usroverlay", {});
      if (settle === "after") await host.settle(signal);
      const said: string[] = [];
      for await (const event of host.operations.events(id, signal)) {
        if (event.type === "step") said.push(event.step);
      }
      return said;
    };
    const work = "laying a writable layer over /usr";
    assert.deepEqual(await steps("after"), ["waiting until this boot is judged", work]);
    assert.deepEqual(await steps("before"), [work]);
  }));

test("fresh health checks are made once for all who ask, and not beside the judge's", () =>
  withMachine(async (machine) => {
    const { ports } = machine;
    let runs = 0;
    const selfCheck = async (): Promise<void> => {
      runs++;
    };
    const parts = { clock: ports.clock, log: ports.log, marker: ports.store.marker };
    const host = openHost({ ...ports, selfCheck }, openOperations(parts));
    const asked = [host.health(true, signal), host.health(true, signal)];
    await new Promise(setImmediate);
    assert.equal(runs, 0);
    await host.settle(signal);
    const [first, second] = await Promise.all(asked);
    assert.equal(first?.report?.outcome, "well");
    assert.equal(first?.report, second?.report);
    assert.equal(runs, 1);
    await host.health(true, signal);
    assert.equal(runs, 2);
  }));

test("a tree whose files may have gone is fetched again, though its commit is there", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    await writeTree(machine.ports.paths.sysroot, machine.newest);
    const { ports } = machine;
    const fetched: string[] = [];
    const ostree = {
      ...ports.ostree,
      fetchCommit: async () => checksumOf("1.1"),
      async fetch(_branch: unknown, checksum: string) {
        fetched.push(checksum);
      },
    };
    const parts = { clock: ports.clock, log: ports.log, marker: ports.store.marker };
    const host = openHost({ ...ports, ostree }, openOperations(parts));
    assert.equal((await ask(host, "deploy", { target: "1.1" })).state, "done");
    assert.deepEqual(fetched, [checksumOf("1.1")]);
    await ask(host, "deploy", { target: "1.0" });
    assert.equal(fetched.length, 1, "what is deployed is whole");
  }));

test("an older tree is refused unless asked for, and nothing to do is said so", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "0.9" };
    assert.equal((await ask(hostOf(machine), "upgrade", {})).error?.code, "DOWNGRADE");
    const check = await ask(hostOf(machine), "upgrade", { mode: "check" });
    assert.equal(check.result?.update?.refusal?.code, "DOWNGRADE");
    assert.equal((await ask(hostOf(machine), "upgrade", { allowDowngrade: true })).state, "done");
    machine.newest = { version: "1.0" };
    await ask(hostOf(machine), "cleanup", { pending: true });
    const none = await ask(hostOf(machine), "upgrade", {});
    assert.equal(none.result?.changed, false);
  }));

test("an update that does not tell its size: said so, and refused where it might not fit", () =>
  withMachine(async (machine) => {
    const sizes = [Buffer.from(`${"ab".repeat(32)}050701`, "hex")];
    machine.newest = { version: "1.1.1", sizes };
    const told = await ask(hostOf(machine), "upgrade", { mode: "check" });
    assert.equal(told.result?.summary, "1.1.1 is there, and needs 4.1 kB on this disk");
    machine.newest = { version: "1.1" };
    const { ports } = machine;
    const hostWith = async (available: number): Promise<Host> => {
      const disk = {
        ...ports.disk,
        fileSystem: async (path: string) => ({ ...(await ports.disk.fileSystem(path)), available }),
      };
      const operations = openOperations({ clock: ports.clock, log: ports.log, marker: ports.store.marker });
      const host = openHost({ ...ports, disk }, operations);
      await host.settle(signal);
      return host;
    };
    // What runs takes 400 MB; a twentieth of the 4 GB is to stay free.
    const narrow = await ask(await hostWith(6.3e8), "upgrade", { mode: "check" });
    assert.equal(narrow.result?.update?.size, null);
    assert.equal(narrow.result?.summary, "1.1 is there, and does not tell how much space it needs");
    assert.equal(narrow.result?.update?.refusal?.code, "NO_SPACE");
    const refused = await ask(await hostWith(6.3e8), "upgrade", {});
    assert.match(refused.error?.message ?? "", /needs up to 445 MB \(guessed from what runs/);
    assert.deepEqual(await versions(machine), ["1.0 booted"]);
    const wide = await ask(await hostWith(6.6e8), "upgrade", {});
    assert.equal(wide.state, "done", wide.error?.message);
  }));

test("while a boot is on trial, and while another operation runs, changes wait", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    const host = hostOf(machine);
    // Not settled yet: it waits, and so is still running when the next one comes.
    await host.begin("upgrade", {});
    await assert.rejects(host.begin("cleanup", {}), (error) => hasCode(error, "BUSY"));
    await host.operations.stop();
    await ask(hostOf(machine), "upgrade", {});
    await machine.boot(true);
    await assert.rejects(hostOf(machine).begin("cleanup", {}), (error) => hasCode(error, "ON_TRIAL"));
  }));

test("packages that differ, by any name of a tree", () =>
  withMachine(async (machine) => {
    const packages = [{ name: "a", version: "1", arch: "all" }];
    machine.newest = { version: "1.1", packages };
    await ask(hostOf(machine), "upgrade", {});
    const diff = await hostOf(machine).diff("booted", "staged");
    assert.deepEqual([diff.from.version, diff.to.version, diff.packages], ["1.0", "1.1", null]);
    const same = await hostOf(machine).diff("1.1", checksumOf("1.1").slice(0, 8));
    assert.deepEqual(same.packages, { added: [], removed: [], upgraded: [], downgraded: [] });
    assert.equal((await hostOf(machine).diff("booted", null)).to.version, "1.1", "what boots next");
    await ask(hostOf(machine), "cleanup", { pending: true });
    await assert.rejects(hostOf(machine).diff("booted", null), (error) => hasCode(error, "UPDATE_UNKNOWN"));
    await ask(hostOf(machine), "upgrade", { mode: "check" });
    assert.equal((await hostOf(machine).diff("booted", null)).to.version, "1.1", "the update that is known");
    await assert.rejects(hostOf(machine).diff("booted", "9.9"), (error) =>
      hasCode(error, "DEPLOYMENT_UNKNOWN"),
    );
  }));

/** Settles with the power cut after `power` effects; true when it came to its end before that. */
async function settleUntil(machine: FakeMachine, power: number): Promise<boolean> {
  machine.power = power;
  try {
    const { ports } = machine;
    // The power ends everything; a daemon that tries again would hide it.
    const clock = {
      ...ports.clock,
      sleep: async () => {
        throw new PowerCut();
      },
    };
    const operations = openOperations({ clock, log: ports.log, marker: ports.store.marker });
    await openHost({ ...ports, clock }, operations).settle(signal);
    return true;
  } catch (error) {
    if (error instanceof PowerCut) return false;
    throw error;
  } finally {
    machine.power = null;
  }
}

test("power cut anywhere between the verdict and the end: the bad one never wins, the good one never is lost", () =>
  fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(fc.nat({ max: 8 }), { maxLength: 6 }), async (isWell, cuts) => {
      await withMachine(async (machine) => {
        machine.newest = { version: "1.1" };
        await ask(hostOf(machine), "upgrade", {});
        await machine.boot(true);
        if (isWell) machine.well.add(machine.bootIdAt(0));
        for (const cut of cuts) {
          const ended = await settleUntil(machine, cut);
          await machine.boot(ended);
        }
        await live(machine);
        // Each cut costs a try; with three gone, even a good tree has fallen back.
        const [first] = await versions(machine);
        const { trial, bad } = await hostOf(machine).status(signal);
        assert.ok(trial.state === "good" || trial.state === "settled", trial.state);
        assert.equal(machine.environment.get("atoll_good"), machine.bootIdAt(0));
        if (!isWell) assert.equal(first, "1.0 booted");
        if (first === "1.0 booted") assert.equal(bad.length, 1);
        else assert.equal(first, "1.1 booted");
      });
    }),
    { numRuns: 12 },
  ));
