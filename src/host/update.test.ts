import assert from "node:assert/strict";
import { test } from "node:test";
import { type FakeMachine, fakeMachine } from "./fake-machine.ts";
import { openHost } from "./host.ts";
import type { Operation } from "./model.ts";
import { openOperations } from "./operations.ts";

const signal = new AbortController().signal;

async function deploy({ ports }: FakeMachine, target: string): Promise<Operation> {
  const operations = openOperations({ clock: ports.clock, log: ports.log, marker: ports.store.marker });
  const host = openHost(ports, operations);
  await host.settle(signal);
  const { id } = await host.begin("deploy", { target });
  for await (const _ of operations.events(id, signal)) {
    // Until it ends.
  }
  return operations.get(id);
}

test("an older version is found however the trees before it are signed", async () => {
  const machine = await fakeMachine("1.0");
  try {
    machine.newest = { version: "1.4", parent: "1.3" };
    machine.older = [
      { version: "1.3", parent: "1.2" },
      { version: "1.2", parent: "1.1" },
      { version: "1.1", refused: true },
    ];
    const found = await deploy(machine, "1.2");
    assert.equal(found.result?.summary, "1.2 boots next", found.error?.message);
    assert.equal((await deploy(machine, "1.1")).error?.code, "COMMIT_KEY_UNKNOWN");
    machine.newest = { version: "2.0" };
    assert.equal((await deploy(machine, "1.1")).error?.code, "DEPLOYMENT_UNKNOWN");
  } finally {
    await machine.remove();
  }
});
