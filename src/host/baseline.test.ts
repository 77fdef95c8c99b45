import assert from "node:assert/strict";
import { test } from "node:test";
import { type FakeMachine, fakeMachine } from "./fake-machine.ts";
import { openHost } from "./host.ts";
import type { HostRequests, HostVerb } from "./model.ts";
import { openOperations } from "./operations.ts";

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

/** Runs a verb to its end. */
async function ask<Verb extends HostVerb>(
  { ports }: FakeMachine,
  verb: Verb,
  request: HostRequests[Verb],
): Promise<void> {
  const operations = openOperations({ clock: ports.clock, log: ports.log, marker: ports.store.marker });
  const host = openHost(ports, operations);
  await host.settle(signal);
  const { id } = await host.begin(verb, request);
  for await (const _ of operations.events(id, signal)) {
    // Until it ends.
  }
  await operations.stop();
  assert.equal(operations.get(id).state, "done");
}

test("what a staged change will be compared with is kept up to date, but not by a shutdown", () =>
  withMachine(async (machine) => {
    machine.newest = { version: "1.1" };
    await ask(machine, "upgrade", {});
    /** Looks once with the network gone, and gives what the baseline says then. */
    const look = async (change: { stopping: boolean }): Promise<boolean | undefined> => {
      const { ports } = machine;
      const stop = new AbortController();
      let sleeps = 0;
      const changed: typeof ports = {
        ...ports,
        network: { state: async () => ({ addresses: [], routes: [] }) },
        systemd: { ...ports.systemd, isStopping: async () => change.stopping },
        clock: {
          ...ports.clock,
          async sleep() {
            if (sleeps++ > 0) stop.abort();
            stop.signal.throwIfAborted();
          },
        },
      };
      const operations = openOperations({ clock: ports.clock, log: ports.log, marker: ports.store.marker });
      await assert.rejects(openHost(changed, operations).watchBaseline(stop.signal), { name: "AbortError" });
      return (await ports.store.baseline.read())?.network;
    };
    assert.equal(await look({ stopping: true }), true);
    assert.equal(await look({ stopping: false }), false);
    await ask(machine, "cleanup", { pending: true });
    await ask(machine, "kargs", { append: ["quiet"] });
    await ask(machine, "cleanup", { pending: true });
    assert.equal(await look({ stopping: false }), true, "nothing waits");
  }));
