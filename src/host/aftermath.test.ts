import assert from "node:assert/strict";
import { test } from "node:test";
import { AtollError } from "../errors.ts";
import { ask, hostOf, live, versions, withMachine } from "./fake-host.ts";
import { type Host, openHost } from "./host.ts";
import { openOperations } from "./operations.ts";

const signal = new AbortController().signal;

test("what was staged and lost to a power cut is staged again", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    await ask(hostOf(machine), "upgrade", {});
    await machine.boot(false);
    assert.deepEqual(await versions(machine), ["1.0 booted"]);
    await live(machine);
    assert.deepEqual(await versions(machine), ["1.1 staged", "1.0 booted"]);
    assert.ok(machine.history.some(({ kind }) => kind === "restaged"));
    await ask(hostOf(machine), "cleanup", { pending: true });
    await machine.boot(false);
    await live(machine);
    assert.deepEqual(await versions(machine), ["1.0 booted"], "dropped on purpose stays dropped");
  }));

test("what a cut left half written for the boot loader does not come up later by itself", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    await ask(hostOf(machine), "upgrade", {});
    await machine.boot(true);
    machine.well.add(machine.bootIdAt(0));
    await live(machine);
    // GRUB started 1.1 as the first; the journal that Linux then replayed has 1.0 first.
    await machine.boot(false);
    await machine.ports.ostree.setDefault(1, signal);
    await live(machine);
    assert.deepEqual(await versions(machine), ["1.1 booted", "1.0"]);
    assert.ok(machine.history.some(({ kind, version }) => kind === "interrupted" && version === "1.0"));
    // Started from the menu: nothing changes, and what was due boots next.
    await machine.boot(false);
    machine.commandLine = machine.commandLine.replace("atoll.boot=good", "atoll.boot=chosen");
    await machine.ports.ostree.setDefault(1, signal);
    await live(machine);
    assert.deepEqual(await versions(machine), ["1.0", "1.1 booted"]);
    assert.equal(machine.environment.get("atoll_good"), machine.bootIdAt(1));
    await machine.ports.ostree.setDefault(1, signal);
    // A rollback by hand, and a daemon that starts again in the same boot.
    await ask(hostOf(machine), "rollback", {});
    await hostOf(machine).settle(signal);
    assert.deepEqual(await versions(machine), ["1.0", "1.1 booted"], "what the owner does stays");
  }));

test("what an interruption left is tried again until it is deleted, and said to be left until then", () =>
  withMachine(async (machine) => {
    const { ports } = machine;
    const { marker } = ports.store;
    await marker.write({ id: "1", verb: "deploy", startedAt: "2026-11-22T15:00:00Z" });
    let tries = 0;
    const recovering: boolean[] = [];
    const ostree = {
      ...ports.ostree,
      async cleanup() {
        tries += 1;
        recovering.push((await host.status(signal)).recovering);
        if (tries === 1) throw new AtollError("INTERRUPTED", { step: "the test" });
      },
    };
    const operations = openOperations({ clock: ports.clock, log: ports.log, marker });
    const host: Host = openHost({ ...ports, ostree }, operations);
    await host.settle(signal);
    assert.deepEqual(recovering, [true, true]);
    assert.equal((await host.status(signal)).recovering, false);
    assert.equal(await marker.read(), null);
  }));

test("an operation that waits for the verdict leaves the marker of the interrupted one alone", () =>
  withMachine(async (machine) => {
    const { ports } = machine;
    const { marker } = ports.store;
    await marker.write({ id: "1", verb: "deploy", startedAt: "2026-11-22T15:00:00Z" });
    const host = hostOf(machine);
    machine.newest = { version: "1.1" };
    const { id } = await host.begin("upgrade", {});
    assert.equal((await marker.read())?.verb, "deploy");
    await host.settle(signal);
    for await (const _ of host.operations.events(id, signal)) {
      // Until it ends.
    }
    assert.equal(host.operations.get(id).state, "done");
    const told = machine.history.filter(({ kind }) => kind === "interrupted");
    assert.match(told[0]?.summary ?? "", /^deploy, begun 2026-11-22T15:00:00Z, was interrupted/);
    assert.equal(told.length, 1);
    assert.equal(await marker.read(), null);
  }));

test("an interruption that is put right late is told, and leaves the marker of what runs by then alone", () =>
  withMachine(async (machine) => {
    const { ports } = machine;
    const { marker } = ports.store;
    await marker.write({ id: "1", verb: "deploy", startedAt: "2026-11-22T15:00:00Z" });
    let tries = 0;
    const ostree = {
      ...ports.ostree,
      async cleanup() {
        tries += 1;
        if (tries === 1) throw new AtollError("INTERRUPTED", { step: "the test" });
        await marker.write({ id: "2", verb: "upgrade", startedAt: "2026-11-22T15:01:00Z" });
      },
    };
    const parts = { clock: ports.clock, log: ports.log, marker };
    await openHost({ ...ports, ostree }, openOperations(parts)).settle(signal);
    assert.match(machine.history.at(-1)?.summary ?? "", /^deploy, begun/);
    assert.equal((await marker.read())?.id, "2");
  }));

test("a marker that cannot be written keeps nobody from cleaning up", () =>
  withMachine(async (machine) => {
    const { ports } = machine;
    const full = async (): Promise<void> => {
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    };
    const marker = { ...ports.store.marker, write: full, clear: full };
    const store = { ...ports.store, marker };
    const operations = openOperations({ clock: ports.clock, log: ports.log, marker });
    const done = await ask(openHost({ ...ports, store }, operations), "cleanup", {});
    assert.equal(done.state, "done", done.error?.message);
  }));

test("what could not be written out is not staged again, and its reason is told", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    await ask(hostOf(machine), "upgrade", {});
    await machine.boot(false);
    const { ports } = machine;
    const reason = "Modified config file newly defaults to directory 'a', cannot merge";
    const lines = [`error: ostree-finalize-staged.service failed on previous boot: ${reason}`];
    const unit = async (name: string): Promise<string[]> =>
      name === "ostree-boot-complete.service" ? lines : [];
    const parts = { clock: ports.clock, log: ports.log, marker: ports.store.marker };
    const host = openHost({ ...ports, journal: { ...ports.journal, unit } }, openOperations(parts));
    await host.settle(signal);
    assert.deepEqual(await versions(machine), ["1.0 booted"]);
    const last = machine.history.at(-1);
    assert.equal(last?.summary, "1.1 could not be written out");
    assert.deepEqual(last?.reasons, [reason]);
    assert.equal(await ports.store.intent.read(), null);
  }));

test("what is lost again and again is staged again three times", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    await ask(hostOf(machine), "upgrade", {});
    for (let boots = 0; boots < 5; boots++) {
      await machine.boot(false);
      await live(machine);
    }
    assert.equal(machine.history.filter(({ kind }) => kind === "restaged").length, 3);
    assert.match(machine.history.map(({ summary }) => summary).join("\n"), /lost .* 4 times in a row/);
    assert.deepEqual(await versions(machine), ["1.0 booted"]);
  }));

test("what was staged and lost is staged again before what nothing holds is deleted", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    await ask(hostOf(machine), "upgrade", {});
    await machine.boot(false);
    const { ports } = machine;
    await ports.store.marker.write({ id: "1", verb: "pin", startedAt: "2026-11-22T15:00:00Z" });
    const done: string[] = [];
    const ostree: typeof ports.ostree = {
      ...ports.ostree,
      async stage(change) {
        done.push("stage");
        await ports.ostree.stage(change, signal);
      },
      async cleanup() {
        done.push("cleanup");
      },
    };
    const parts = { clock: ports.clock, log: ports.log, marker: ports.store.marker };
    await openHost({ ...ports, ostree }, openOperations(parts)).settle(signal);
    assert.deepEqual(done, ["stage", "cleanup"]);
  }));

test("what a trial may have left half deleted is deleted, also without a marker", () =>
  withMachine(async (machine) => {
    let cleanups = 0;
    const settleCounting = async (): Promise<void> => {
      const { ports } = machine;
      const ostree = {
        ...ports.ostree,
        async cleanup() {
          cleanups++;
        },
      };
      const parts = { clock: ports.clock, log: ports.log, marker: ports.store.marker };
      await openHost({ ...ports, ostree }, openOperations(parts)).settle(signal);
    };
    await settleCounting();
    assert.equal(cleanups, 0, "nothing came before");
    machine.newest = { version: "1.1" };
    await ask(hostOf(machine), "upgrade", {});
    await machine.boot(true);
    machine.well.add(machine.bootIdAt(0));
    await settleCounting();
    assert.equal(cleanups, 1);
  }));
