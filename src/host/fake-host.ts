/** A fake machine with its daemon, and what one does with them. Only for tests. */
import { type FakeMachine, fakeMachine } from "./fake-machine.ts";
import { type Host, openHost } from "./host.ts";
import type { HostRequests, HostVerb, Operation } from "./model.ts";
import { openOperations } from "./operations.ts";

const signal = new AbortController().signal;

/** The daemon, just started. */
export function hostOf(machine: FakeMachine): Host {
  const { ports } = machine;
  return openHost(ports, openOperations({ clock: ports.clock, log: ports.log, marker: ports.store.marker }));
}

/** Runs a verb to its end. */
export async function ask<Verb extends HostVerb>(
  host: Host,
  verb: Verb,
  request: HostRequests[Verb],
): Promise<Operation> {
  await host.settle(signal);
  const { id } = await host.begin(verb, request);
  for await (const _ of host.operations.events(id, signal)) {
    // Until it ends.
  }
  await host.operations.stop();
  return host.operations.get(id);
}

/** Boots and settles as often as the machine itself asks for. */
export async function live(machine: FakeMachine): Promise<number> {
  let boots = 0;
  do {
    if (boots > 0) await machine.boot(true);
    boots++;
    await hostOf(machine).settle(signal);
  } while (machine.rebooting);
  return boots;
}

/** Checks something on a machine that runs 1.0 and is well. */
export async function withMachine(check: (machine: FakeMachine) => Promise<void>): Promise<void> {
  const machine = await fakeMachine("1.0");
  try {
    machine.well.add(machine.bootIdAt(0));
    await live(machine);
    await check(machine);
  } finally {
    await machine.remove();
  }
}

/** The deployments, as `1.1 booted`. */
export async function versions(machine: FakeMachine): Promise<string[]> {
  const { deployments } = await hostOf(machine).status(signal);
  return deployments.map(
    (one) => `${one.version}${one.booted ? " booted" : ""}${one.staged ? " staged" : ""}`,
  );
}
