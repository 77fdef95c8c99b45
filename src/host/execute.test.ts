import assert from "node:assert/strict";
import { test } from "node:test";
import { type FakeMachine, fakeMachine } from "./fake-machine.ts";
import { openHost } from "./host.ts";
import type { HostRequests, HostVerb, Operation } from "./model.ts";
import { openOperations } from "./operations.ts";

const signal = new AbortController().signal;

/** Runs a verb to its end and asks it to stop as soon as it has said `steps` steps; the steps that it said. */
async function cancelled<Verb extends HostVerb>(
  machine: FakeMachine,
  verb: Verb,
  request: HostRequests[Verb],
  steps: number,
): Promise<{ readonly operation: Operation; readonly said: number }> {
  const { ports } = machine;
  let said = 0;
  const info = (): void => {
    const running = operations.running();
    if (running === null) return;
    said++;
    if (said === steps) operations.cancel(running.id);
  };
  const operations = openOperations({
    clock: ports.clock,
    log: { ...ports.log, info },
    marker: ports.store.marker,
  });
  const host = openHost(ports, operations);
  await host.settle(signal);
  const { id } = await host.begin(verb, request);
  for await (const _ of operations.events(id, signal)) {
    // Until it ends.
  }
  return { operation: operations.get(id), said };
}

/** A machine with 1.0 and 1.1, which runs; 1.2 is on offer. */
async function updatedMachine(): Promise<FakeMachine> {
  const machine = await fakeMachine("1.0");
  machine.well.add(machine.bootIdAt(0));
  machine.newest = { version: "1.1" };
  await cancelled(machine, "upgrade", {}, 0);
  await machine.boot(true);
  machine.well.add(machine.bootIdAt(0));
  await openHost(
    machine.ports,
    openOperations({
      clock: machine.ports.clock,
      log: machine.ports.log,
      marker: machine.ports.store.marker,
    }),
  ).settle(signal);
  machine.newest = { version: "1.2" };
  return machine;
}

function shape({ deployments, staged }: FakeMachine): string {
  return JSON.stringify([deployments, staged]);
}

const asked: readonly (readonly [HostVerb, HostRequests[HostVerb]])[] = [
  ["upgrade", { mode: "reboot" }],
  ["kargs", { append: ["quiet"], reboot: true }],
  ["rollback", { reboot: true }],
  ["pin", { deployment: "rollback" }],
  ["cleanup", { rollback: true }],
];

for (const [verb, request] of asked) {
  test(`${verb}: asked to stop at any step, nothing is changed, or all of it with its record`, async () => {
    for (let step = 1, more = true; more; step++) {
      const machine = await updatedMachine();
      try {
        const before = shape(machine);
        const told = machine.history.length;
        const { operation, said } = await cancelled(machine, verb, request, step);
        // Fewer: it came to its end before it was asked.
        more = said >= step;
        if (operation.state === "cancelled") {
          assert.equal(shape(machine), before, `step ${step}`);
          assert.equal(machine.history.length, told);
          assert.equal(await machine.ports.store.intent.read(), null);
        } else {
          assert.equal(operation.state, "done", operation.error?.message);
          if (more && operation.step !== "rebooting") assert.notEqual(operation.result?.reboot, "started");
          assert.notEqual(shape(machine), before);
          assert.equal(machine.history.length, told + 1);
        }
      } finally {
        await machine.remove();
      }
    }
  });
}
