/**
 * A machine for tests: a sysroot of real files in a temporary folder, a boot loader that counts tries as ours does,
 * and every way to the outside faked. Power can be cut before any effect, and the machine be booted again.
 */
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AtollError } from "../errors.ts";
import { bootIdOf } from "./boot-id.ts";
import type { HostConfig } from "./config.ts";
import { checksumOf, type FakeTree, stagedFile, treeIdOf, writeTree } from "./fake-ostree.ts";
import type { GrubVariables } from "./grubenv.ts";
import type { BadTree, HistoryEntry, Signature } from "./model.ts";
import type { OSTree } from "./ostree.ts";
import type { Ports } from "./ports.ts";
import type { FileSystem } from "./storage.ts";
import type { Slot, Store } from "./store.ts";
import type { SysrootPaths } from "./sysroot.ts";
import { tries } from "./trial.ts";

export const defaultConfig: HostConfig = {
  health: { startLimit: 1000, grace: 0, scriptLimit: 1000, skip: [], ignoreUnits: [], freePercent: 2 },
  update: { check: null, reservePercent: 5, url: null },
};

interface FakeDeployment {
  readonly checksum: string;
  readonly serial: number;
  readonly kernelArguments: readonly string[];
  readonly origin: string;
  pinned: boolean;
}

/** Thrown where the power is cut. */
export class PowerCut extends Error {}

export interface FakeMachine {
  readonly ports: Ports;
  /** In boot order. */
  deployments: FakeDeployment[];
  staged: FakeDeployment | null;
  environment: Map<string, string>;
  /** Boot ids of what comes up well. */
  readonly well: Set<string>;
  /** What the remote has; fetching it makes it local. */
  newest: FakeTree | null;
  /** What GPG says of every tree here. */
  signature: Signature;
  /** What it had before, by their parents. */
  older: FakeTree[];
  rebooting: boolean;
  /** Effects left until the power is cut; null for never. */
  power: number | null;
  /** Effects so far. */
  effects: number;
  /** How this boot came about, as on the kernel command line. */
  commandLine: string;
  readonly history: HistoryEntry[];
  bad(): Promise<readonly BadTree[]>;
  /** Shuts down in order (the staged deployment is written out), or not, and boots as GRUB would. */
  boot(orderly: boolean): Promise<void>;
  bootIdAt(index: number): string;
  remove(): Promise<void>;
}

export const fakeOrigin = "atoll:atoll/x86_64/stable";
const goodSignature: Signature = { valid: true, problem: null, keyId: "A1", who: "test", signedAt: null };

/** A machine with `version` deployed, booted, and proven good. */
export async function fakeMachine(version: string): Promise<FakeMachine> {
  const root = await mkdtemp(join(tmpdir(), "atoll-machine-"));
  const paths: SysrootPaths = { root, run: join(root, "run"), running: join(root, "running") };
  await mkdir(join(root, "ostree/repo/objects"), { recursive: true });
  await mkdir(join(root, "ostree/repo/state"), { recursive: true });
  await mkdir(paths.run);
  await mkdir(join(root, "etc"));
  await writeFile(join(root, "ostree/repo/config"), '[remote "atoll"]\nurl=http://origin/repo\n');
  await writeTree(paths, { version });
  const first = {
    checksum: checksumOf(version),
    serial: 0,
    kernelArguments: ["rw"],
    origin: fakeOrigin,
    pinned: false,
  };
  let time = Date.parse("2026-01-01T00:00:00Z");
  const now = (): Date => {
    time += 1000;
    return new Date(time);
  };
  const effect = (): void => {
    if (machine.power !== null && machine.power-- <= 0) throw new PowerCut();
    machine.effects++;
  };
  const store = fakeStore(effect);
  const machine: FakeMachine = {
    deployments: [first],
    staged: null,
    environment: new Map([["atoll_good", bootIdOf(treeIdOf(version), ["rw"])]]),
    well: new Set(),
    newest: null,
    signature: goodSignature,
    older: [],
    rebooting: false,
    power: null,
    effects: 0,
    commandLine: "",
    history: store.entries,
    bad: async () => (await store.bad.read()) ?? [],
    bootIdAt: (index) => bootIdAt(machine, index),
    async boot(orderly) {
      machine.rebooting = false;
      machine.power = null;
      if (orderly) await finalize(machine);
      machine.staged = null;
      grub(machine);
      await writeSysroot(paths, machine);
      await store.judgement.clear();
      await store.told.clear();
      for (const name of ["verdict.json", "judging"]) await rm(join(root, name), { force: true });
      bootedAt = now().toISOString();
    },
    remove: () => rm(root, { recursive: true, force: true }),
    get ports() {
      return { ...ports, commandLine: machine.commandLine, bootedAt, boot: bootedAt };
    },
  };
  let bootedAt = now().toISOString();
  const ports = fakePorts(machine, paths, store, now, effect);
  await machine.boot(true);
  return machine;
}

function bootIdAt(machine: FakeMachine, index: number): string {
  const deployment = machine.deployments[index];
  return deployment ? idOf(deployment) : "";
}

function idOf(deployment: FakeDeployment): string {
  const version = Buffer.from(deployment.checksum.replace(/(00)+$/, ""), "hex").toString();
  return bootIdOf(treeIdOf(version), deployment.kernelArguments);
}

/** What libostree does at shutdown with what is staged: first in order, the old rollback goes. */
async function finalize(machine: FakeMachine): Promise<void> {
  const { staged } = machine;
  if (staged === null) return;
  const booted = runningOf(machine);
  const kept = machine.deployments.filter((one) => one === booted || one.pinned);
  machine.deployments = [staged, ...kept];
}

const runningDeployment = new WeakMap<FakeMachine, FakeDeployment>();

function runningOf(machine: FakeMachine): FakeDeployment | undefined {
  return runningDeployment.get(machine);
}

/** os/files/usr/lib/atoll/grub.cfg, in a few lines. */
function grub(machine: FakeMachine): void {
  const { environment: env, deployments } = machine;
  const first = bootIdAt(machine, 0);
  let index = 0;
  let how = "good";
  if (first !== env.get("atoll_good") && deployments.length > 1) {
    if (env.get("atoll_trial") !== first) {
      env.set("atoll_trial", first);
      env.set("atoll_tries", String(tries));
    }
    const left = Number(env.get("atoll_tries"));
    if (left > 0) {
      env.set("atoll_tries", String(left - 1));
      how = `trial-${tries - left + 1}`;
    } else {
      index = deployments.findIndex((one) => idOf(one) === env.get("atoll_good"));
      if (index < 0) index = 1;
      how = `fallback atoll.failed=${first}`;
    }
  }
  machine.commandLine = `rw atoll.id=${bootIdAt(machine, index)} atoll.boot=${how}`;
  const running = deployments[index];
  if (running) runningDeployment.set(machine, running);
}

function directoryOf(deployment: FakeDeployment): string {
  return `${deployment.checksum}.${deployment.serial}`;
}

/** Writes what libostree would have on disk for `machine`. */
async function writeSysroot(paths: SysrootPaths, machine: FakeMachine): Promise<void> {
  const { root } = paths;
  await rm(join(root, "boot"), { recursive: true, force: true });
  await rm(join(root, "ostree/boot.0"), { recursive: true, force: true });
  await rm(join(paths.run, "staged-deployment"), { force: true });
  await mkdir(join(root, "boot/loader/entries"), { recursive: true });
  await mkdir(join(root, "ostree/boot.0/atoll/k"), { recursive: true });
  for (const [index, deployment] of machine.deployments.entries()) {
    await writeDeployment(paths, deployment);
    const link = `ostree/boot.0/atoll/k/${index}`;
    await symlink(`../../../deploy/atoll/deploy/${directoryOf(deployment)}`, join(root, link));
    const entry = `title x\nversion ${machine.deployments.length - index}\noptions ${deployment.kernelArguments.join(" ")} ostree=/${link}\n`;
    await writeFile(join(root, `boot/loader/entries/ostree-${index}.conf`), entry);
  }
  if (machine.staged) {
    await writeDeployment(paths, machine.staged);
    await writeFile(
      join(paths.run, "staged-deployment"),
      stagedFile(directoryOf(machine.staged), machine.staged.kernelArguments),
    );
  }
  await rm(paths.running, { force: true });
  const running = runningOf(machine);
  if (running) await symlink(`ostree/deploy/atoll/deploy/${directoryOf(running)}`, paths.running);
}

async function writeDeployment(paths: SysrootPaths, deployment: FakeDeployment): Promise<void> {
  const directory = join(paths.root, "ostree/deploy/atoll/deploy", directoryOf(deployment));
  const version = Buffer.from(deployment.checksum.replace(/(00)+$/, ""), "hex").toString();
  await mkdir(join(directory, "usr/lib/atoll"), { recursive: true });
  await mkdir(join(directory, "usr/etc"), { recursive: true });
  await writeFile(join(directory, "usr/lib/atoll/boot-id.cfg"), `set atoll_tree="${treeIdOf(version)}"\n`);
  const pinned = deployment.pinned ? "[libostree-transient]\npinned=true\n" : "";
  await writeFile(`${directory}.origin`, `[origin]\nrefspec=${deployment.origin}\n${pinned}`);
}

interface FakeStore extends Store {
  readonly entries: HistoryEntry[];
}

function fakeStore(effect: () => void): FakeStore {
  const slot = <T>(): Slot<T> => {
    let value: T | null = null;
    return {
      read: async () => value,
      async write(next) {
        effect();
        value = next;
      },
      async clear() {
        effect();
        value = null;
      },
    };
  };
  const entries: HistoryEntry[] = [];
  return {
    baseline: slot(),
    intent: slot(),
    attempts: slot(),
    marker: slot(),
    judgement: slot(),
    told: slot(),
    update: slot(),
    bad: slot(),
    entries,
    history: {
      read: async (limit) => entries.slice(-limit).reverse(),
      async add(entry) {
        effect();
        entries.push(entry);
      },
    },
  };
}

function fakeOSTree(machine: FakeMachine, paths: SysrootPaths, effect: () => void): OSTree {
  const changed = async (change: () => void): Promise<void> => {
    effect();
    change();
    await writeSysroot(paths, machine);
  };
  const at = (index: number): FakeDeployment | undefined => {
    const all = machine.staged ? [machine.staged, ...machine.deployments] : machine.deployments;
    return all[index];
  };
  const newest = (): string => checksumOf(machine.newest?.version ?? "");
  const partial = (checksum: string): string =>
    join(paths.root, "ostree/repo/state", `${checksum}.commitpartial`);
  return {
    async fetchCommit(_branch, asked) {
      effect();
      const checksum = asked ?? newest();
      const tree = [machine.newest, ...machine.older].find(
        (one) => one && checksumOf(one.version) === checksum,
      );
      if (tree?.refused) throw new AtollError("COMMIT_KEY_UNKNOWN", unknownKey(tree.version));
      if (tree) await writeTree(paths, tree);
      await writeFile(partial(checksum), "");
      return checksum;
    },
    async fetch(_branch, checksum) {
      effect();
      await rm(partial(checksum), { force: true });
    },
    stage: ({ checksum, origin, kernelArguments }) =>
      changed(() => {
        const serial = machine.deployments.filter((one) => one.checksum === checksum).length;
        machine.staged = { checksum, serial, origin, kernelArguments, pinned: false };
      }),
    setDefault: (index) =>
      changed(() => {
        const target = at(index);
        if (target) machine.deployments = [target, ...machine.deployments.filter((one) => one !== target)];
      }),
    undeploy: (index) =>
      changed(() => {
        const target = at(index);
        if (target === machine.staged) machine.staged = null;
        machine.deployments = machine.deployments.filter((one) => one !== target);
      }),
    pin: (index, pinned) =>
      changed(() => {
        const target = at(index);
        if (target) target.pinned = pinned;
      }),
    cleanup: () => changed(() => {}),
    unlock: () => changed(() => {}),
    verify: async () => machine.signature,
  };
}

function unknownKey(version: string): { version: string; checksum: string; url: string; key: string } {
  return { version, checksum: checksumOf(version), url: "http://origin/repo", key: "B2" };
}

const emptyDisk: FileSystem = {
  path: "/",
  device: 1,
  size: 4e9,
  available: 3e9,
  inodes: 1e6,
  inodesFree: 9e5,
};

function fakePorts(
  machine: FakeMachine,
  paths: SysrootPaths,
  store: Store,
  now: () => Date,
  effect: () => void,
): Omit<Ports, "commandLine" | "bootedAt" | "boot"> {
  const runningId = (): string => /atoll\.id=(\S+)/.exec(machine.commandLine)?.[1] ?? "";
  return {
    config: defaultConfig,
    paths: {
      sysroot: paths,
      verdict: join(paths.root, "verdict.json"),
      judging: join(paths.root, "judging"),
      motd: join(paths.root, "motd"),
      greenboot: [],
    },
    store,
    bootLoader: {
      read: async (): Promise<GrubVariables> => new Map(machine.environment),
      async write(variables) {
        effect();
        machine.environment = new Map(variables);
      },
    },
    ostree: fakeOSTree(machine, paths, effect),
    systemd: {
      failedUnits: async () => (machine.well.has(runningId()) ? [] : ["broken.service"]),
      containerUnits: async () => [],
      start: async () => {},
      isStopping: async () => false,
      async reboot() {
        effect();
        machine.rebooting = true;
      },
      runOutside: async () => ({ code: 0, timedOut: false, output: "" }),
    },
    journal: {
      boots: async () => [],
      commandLine: async () => "",
      summary: async () => [],
      unit: async () => [],
    },
    network: { state: async () => ({ addresses: ["10.0.2.15"], routes: ["IPv4 by eth0"] }) },
    containers: { health: async () => new Map() },
    disk: {
      fileSystem: async (path) => ({ ...emptyDisk, path }),
      usage: async () => ({ bytes: 4e8, inodes: 1e4, directories: 1e3 }),
    },
    clock: {
      now,
      uptime: () => now().getTime(),
      sleep: async () => {},
      limit: () => new AbortController().signal,
    },
    log: { info: () => {}, warning: () => {}, error: () => {} },
    hostname: () => "test",
    selfCheck: async () => {},
  };
}
