import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerHealth } from "./containers.ts";
import { defaultConfig, fakeMachine } from "./fake-machine.ts";
import { checkHealth, newFailures, observeBaseline } from "./health.ts";
import type { HealthCheck } from "./model.ts";
import type { Ports } from "./ports.ts";

const signal = new AbortController().signal;

async function withPorts(check: (ports: Ports) => Promise<void>): Promise<void> {
  const machine = await fakeMachine("1.0");
  try {
    machine.well.add(machine.bootIdAt(0));
    await check(machine.ports);
  } finally {
    await machine.remove();
  }
}

async function find(ports: Ports, name: string): Promise<HealthCheck | undefined> {
  return (await checkHealth(ports, signal)).checks.find((check) => check.name === name);
}

const web = {
  unit: "web.service",
  source: "/etc/containers/systemd/web.container",
  active: true,
  atBoot: true,
  state: "active/running",
};

function withContainers(ports: Ports, active: boolean, health: ContainerHealth): Ports {
  return {
    ...ports,
    systemd: {
      ...ports.systemd,
      containerUnits: async () => [{ ...web, active, state: active ? web.state : "failed/exit-code" }],
    },
    containers: { health: async () => new Map([["web.service", health]]) },
  };
}

test("containers are held to how they were before", () =>
  withPorts(async (ports) => {
    const outcome = async (now: Ports): Promise<string | undefined> =>
      (await find(now, "containers"))?.outcome;
    assert.equal(await outcome(ports), "skipped", "nothing was noted before");
    await ports.store.baseline.write(
      await observeBaseline(withContainers(ports, true, "healthy"), null, signal),
    );
    assert.equal(await outcome(withContainers(ports, true, "healthy")), "passed");
    assert.equal(await outcome(withContainers(ports, false, null)), "failed");
    assert.equal(await outcome(withContainers(ports, true, "unhealthy")), "failed");
    assert.equal(await outcome(ports), "passed", "its file was taken away");
    await ports.store.baseline.write({
      ...(await observeBaseline(ports, null, signal)),
      containers: [{ unit: "web.service", source: import.meta.filename, healthy: false }],
    });
    const lost = await find(ports, "containers");
    assert.equal(lost?.summary, "web.service ran before, and there is no such unit any more");
    const down = await find(withContainers(ports, false, null), "containers");
    assert.equal(down?.summary, "web.service ran before, and is failed/exit-code");
  }));

test("a container that never was healthy need not be", () =>
  withPorts(async (ports) => {
    await ports.store.baseline.write(
      await observeBaseline(withContainers(ports, true, "unhealthy"), null, signal),
    );
    assert.equal((await find(withContainers(ports, true, "unhealthy"), "containers"))?.outcome, "passed");
  }));

test("a container that is still starting is waited for in the grace, and not blamed after it", () =>
  withPorts(async (ports) => {
    const before = withContainers(ports, true, "healthy");
    await ports.store.baseline.write(await observeBaseline(before, null, signal));
    const grace = { ...defaultConfig, health: { ...defaultConfig.health, grace: 60_000 } };
    const starting: Ports = { ...withContainers(ports, true, "starting"), config: grace };
    const check = await find(starting, "containers");
    assert.equal(check?.outcome, "passed");
    assert.match(check?.summary ?? "", /web\.service did not say yet/);
    let looks = 0;
    const sick: Ports["containers"] = {
      health: async () => new Map([["web.service", ++looks < 3 ? "starting" : "unhealthy"]]),
    };
    assert.equal((await find({ ...starting, containers: sick }, "containers"))?.outcome, "failed");
  }));

test("a container that no boot starts need not run after one", () =>
  withPorts(async (ports) => {
    const systemd = { ...ports.systemd, containerUnits: async () => [{ ...web, atBoot: false }] };
    assert.deepEqual((await observeBaseline({ ...ports, systemd }, null, signal)).containers, []);
  }));

function nearlyFull(ports: Ports, path: string): Ports {
  const fileSystem: Ports["disk"]["fileSystem"] = async (asked) => {
    const system = await ports.disk.fileSystem(asked);
    return { ...system, device: asked.length, available: asked === path ? 1 : system.available };
  };
  return { ...ports, disk: { ...ports.disk, fileSystem } };
}

test("a disk that was full before is no fault of the change", () =>
  withPorts(async (ports) => {
    const full = nearlyFull(ports, "/var");
    assert.equal((await find(full, "storage"))?.outcome, "failed", "nothing was noted before");
    await ports.store.baseline.write(await observeBaseline(full, null, signal));
    assert.equal((await find(full, "storage"))?.outcome, "passed");
    assert.equal((await find(nearlyFull(ports, "/boot"), "storage"))?.outcome, "failed");
  }));

test("the network must work where it worked before, and only there", () =>
  withPorts(async (ports) => {
    const offline = { ...ports, network: { state: async () => ({ addresses: [], routes: [] }) } };
    await ports.store.baseline.write(await observeBaseline(ports, null, signal));
    assert.equal((await find(ports, "network"))?.outcome, "passed");
    const lost = await find(offline, "network");
    assert.equal(lost?.summary, "the network worked before, and now there is no address");
    await ports.store.baseline.write(await observeBaseline(offline, null, signal));
    assert.equal((await find(offline, "network"))?.outcome, "skipped");
  }));

test("a network that takes its time has it", () =>
  withPorts(async (ports) => {
    await ports.store.baseline.write(await observeBaseline(ports, null, signal));
    let asked = 0;
    const slow = {
      ...ports,
      config: { ...defaultConfig, health: { ...defaultConfig.health, grace: 60_000 } },
      network: {
        state: async () => {
          asked++;
          return asked < 3
            ? { addresses: [], routes: [] }
            : { addresses: ["10.0.2.15"], routes: ["IPv4 by eth0"] };
        },
      },
    };
    assert.equal((await find(slow, "network"))?.outcome, "passed");
    assert.equal(asked, 3);
  }));

/** A network that is there when it is looked at again; `meanwhile` is done at each look. */
function slowNetwork(meanwhile: () => void): Ports["network"] {
  let looks = 0;
  return {
    async state() {
      looks++;
      meanwhile();
      return looks < 2
        ? { addresses: [], routes: [] }
        : { addresses: ["10.0.2.15"], routes: ["IPv4 by eth0"] };
    },
  };
}

test("neither a slow start nor a clock that is set takes the grace away", () =>
  withPorts(async (ports) => {
    await ports.store.baseline.write(await observeBaseline(ports, null, signal));
    let elapsed = 0;
    let wall = 0;
    const late: Ports = {
      ...ports,
      config: { ...defaultConfig, health: { ...defaultConfig.health, grace: 60_000 } },
      clock: { ...ports.clock, now: () => new Date(wall), uptime: () => elapsed },
      systemd: {
        ...ports.systemd,
        async start() {
          elapsed += 90_000;
        },
      },
      network: slowNetwork(() => {
        wall += 3_600_000;
      }),
    };
    assert.equal((await find(late, "network"))?.outcome, "passed");
  }));

const never = (): Promise<never> => Promise.withResolvers<never>().promise;

/** Limits of up to `ms` are over at once; what answers at all still does so first. */
function impatient(ports: Ports, ms = Number.POSITIVE_INFINITY): Ports {
  const limit = (wanted: number): AbortSignal => (wanted <= ms ? AbortSignal.timeout(0) : signal);
  return { ...ports, clock: { ...ports.clock, limit } };
}

test("what gives no answer has failed, and keeps no verdict from being reached", () =>
  withPorts(async (ports) => {
    await ports.store.baseline.write(
      await observeBaseline(withContainers(ports, true, "healthy"), null, signal),
    );
    const hung: Ports = { ...withContainers(ports, true, "healthy"), containers: { health: never } };
    const report = await checkHealth(impatient(hung), signal);
    assert.deepEqual(report.reasons, ['the check "containers" could not be made: no answer in 20 s']);
  }));

test("a unit whose log gives no answer has failed all the same", () =>
  withPorts(async (ports) => {
    const systemd = { ...ports.systemd, failedUnits: async () => ["a.service"] };
    const mute: Ports = { ...ports, systemd, journal: { ...ports.journal, unit: never } };
    assert.equal((await find(impatient(mute, 5000), "units"))?.summary, "a.service failed");
  }));

test("what gives no answer before a change is not asked of it either", () =>
  withPorts(async (ports) => {
    const hung: Ports = {
      ...withContainers(ports, true, "healthy"),
      network: { state: never },
      containers: { health: never },
    };
    const baseline = await observeBaseline(impatient(hung), null, signal);
    assert.deepEqual([baseline.network, baseline.containers[0]?.healthy], [false, false]);
  }));

test("a target that is not reached in time is said to be so", () =>
  withPorts(async (ports) => {
    const slow: Ports = { ...ports, systemd: { ...ports.systemd, start: never } };
    const check = await find(impatient(slow, defaultConfig.health.startLimit), "boot-complete");
    assert.equal(check?.summary, "boot-complete.target was not reached in 1 s");
  }));

test("a check that cannot be made has failed, and says why", () =>
  withPorts(async (ports) => {
    const deaf: Ports = { ...ports, selfCheck: () => Promise.reject(new Error("connection refused")) };
    const report = await checkHealth(deaf, signal);
    assert.equal(report.outcome, "unwell");
    assert.deepEqual(report.reasons, ['the check "daemon" could not be made: connection refused']);
  }));

test("units that failed before, or that nobody minds, do not count", () => {
  const config = {
    ...defaultConfig,
    health: { ...defaultConfig.health, ignoreUnits: ["backup-*.service", "a+b.service"] },
  };
  const now = ["old.service", "new.service", "backup-1.service", "a+b.service", "aab.service"];
  assert.deepEqual(newFailures(now, ["old.service"], config), ["new.service", "aab.service"]);
});

test("what the owner switches off is skipped, and said so", () =>
  withPorts(async (ports) => {
    const config = { ...defaultConfig, health: { ...defaultConfig.health, skip: ["units"] } };
    const check = await find({ ...ports, config }, "units");
    assert.deepEqual([check?.outcome, check?.summary], ["skipped", "switched off in atoll.yaml"]);
  }));
