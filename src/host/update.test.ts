import assert from "node:assert/strict";
import { test } from "node:test";
import { type FakeMachine, fakeMachine } from "./fake-machine.ts";
import { openHost } from "./host.ts";
import type { HostRequests, HostVerb, Operation } from "./model.ts";
import { openOperations } from "./operations.ts";
import type { Store } from "./store.ts";

const signal = new AbortController().signal;

async function ask<Verb extends HostVerb>(
  { ports }: Pick<FakeMachine, "ports">,
  verb: Verb,
  request: HostRequests[Verb],
): Promise<{ readonly operation: Operation; readonly steps: readonly string[] }> {
  const operations = openOperations({ clock: ports.clock, log: ports.log, marker: ports.store.marker });
  const host = openHost(ports, operations);
  await host.settle(signal);
  const { id } = await host.begin(verb, request);
  const steps: string[] = [];
  for await (const event of operations.events(id, signal)) if (event.type === "step") steps.push(event.step);
  return { operation: operations.get(id), steps };
}

async function deploy(machine: FakeMachine, target: string): Promise<Operation> {
  return (await ask(machine, "deploy", { target })).operation;
}

test("a deployment whose key was revoked is not deployed again, but can be gone back to, with a warning", async () => {
  const machine = await fakeMachine("1.0");
  try {
    machine.well.add(machine.bootIdAt(0));
    machine.newest = { version: "1.1" };
    await ask(machine, "upgrade", {});
    await machine.boot(true);
    machine.well.add(machine.bootIdAt(0));
    machine.signature = { ...machine.signature, valid: false, problem: "revoked-key" };
    const refused = await ask(machine, "deploy", { target: "1.0" });
    assert.equal(refused.operation.error?.code, "COMMIT_KEY_REVOKED");
    assert.equal(machine.staged, null);
    const back = await ask(machine, "rollback", {});
    assert.equal(back.operation.state, "done");
    assert.ok(back.steps.includes("warning: the signature of 1.0 does not hold (revoked-key)"));
  } finally {
    await machine.remove();
  }
});

test("a refusal is told even when it cannot be written down", async () => {
  const machine = await fakeMachine("1.0");
  try {
    machine.newest = { version: "0.9" };
    const full = async (): Promise<never> => {
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    };
    const { ports } = machine;
    const update = { ...ports.store.update, write: full };
    const host = (store: Store): Pick<FakeMachine, "ports"> => ({ ports: { ...ports, store } });
    const unforgetting = await ask(host({ ...ports.store, update }), "upgrade", {});
    assert.equal(unforgetting.operation.error?.code, "DOWNGRADE");
    const history: Store["history"] = {
      ...ports.store.history,
      add: (entry) => (entry.kind === "refused" ? full() : ports.store.history.add(entry)),
    };
    const unwritten = await ask(host({ ...ports.store, history }), "upgrade", {});
    assert.equal(unwritten.operation.error?.code, "DOWNGRADE");
  } finally {
    await machine.remove();
  }
});

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
    await ask(machine, "cleanup", { pending: true });
    assert.equal((await deploy(machine, "1.0")).result?.summary, "1.0 is running already");
  } finally {
    await machine.remove();
  }
});
