import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildAll } from "../scripts/build.ts";
import type { Verdict } from "../src/api/types.ts";
import { composeTree } from "../src/compose/compose.ts";
import { buildImage } from "../src/compose/image.ts";
import { openToolbox, type Toolbox } from "../src/compose/toolbox.ts";
import { isSystemError } from "../src/errors.ts";
import { withExclusive } from "../src/exclusive.ts";
import type { LabTools } from "../src/lab/machine.ts";
import type { Provisioning } from "../src/lab/provision.ts";
import type { Firmware } from "../src/lab/qemu.ts";
import { labKey } from "../src/lab/ssh.ts";
import { cacheDirectory, labDirectory, projectRoot, stateDirectory } from "../src/paths.ts";
import type { Progress } from "../src/progress.ts";
import { TestMachine } from "./machine.ts";
import { type FolderServer, serveFolder } from "./serve.ts";
import {
  deriveTree,
  etcFiles,
  publish,
  type Signer,
  type TestTree,
  type TreeFile,
  type TreeRecipe,
  type TreeRepository,
  verdictWatch,
} from "./trees.ts";

/** Where a machine finds the computer that runs it (QEMU's user network). */
const computer = "10.0.2.2";

interface MachineWish {
  readonly firmware?: Firmware;
  /** `raw` for power cuts; `qcow2`, which costs no copy, when absent. */
  readonly diskFormat?: "raw" | "qcow2";
  readonly diskGiB?: number;
  /** Ports of the machine to reach from here. */
  readonly ports?: readonly number[];
  readonly provisioning?: Omit<Provisioning, "hostname" | "rootKeys">;
}

/** What a file of whole-machine tests stands on: trees, a remote that serves them, machines. */
export interface TestBed {
  readonly toolbox: Toolbox;
  /** This file's own repository: what it publishes, no other file's machines see. */
  readonly trees: TreeRepository;
  readonly remote: FolderServer;
  machine(name: string): TestMachine;
  /** Makes `machine`, turns it on, waits until its first boot is judged, and points it to this file's remote. */
  boot(machine: TestMachine, wish?: MachineWish & { readonly cuttable?: boolean }): Promise<Verdict>;
  /** Derives a tree that is newer than all before, on no branch yet. */
  derive(recipe?: Partial<TreeRecipe>): Promise<TestTree>;
  /** The same, and offers it as the newest of the stream. */
  offer(files?: Readonly<Record<string, TreeFile>>): Promise<TestTree>;
  close(): Promise<void>;
}

/** Prepares what tests named `name` need. The first to come makes what all share; the others wait for it. */
export async function openTestBed(name: string): Promise<TestBed> {
  if (process.env.ATOLL_STATE === undefined) {
    throw new Error(
      "tests want a state folder of their own: run them by `npm test -- NAME`, or set ATOLL_STATE",
    );
  }
  const toolbox = await openToolbox({ cache: cacheDirectory(), progress: printed });
  const shared = await sharedGround(toolbox);
  const trees = await ownRepository(toolbox, shared, name);
  const remote = await serveFolder(trees.path);
  const tools: LabTools = { lab: labDirectory(), toolbox };
  let count = 0;
  const derive = (recipe: Partial<TreeRecipe> = {}): Promise<TestTree> => {
    count += 1;
    // Newer than the base tree, and than every one derived before, by version and by time.
    const version = `${shared.version}.${count}`;
    return deriveTree(trees, { version, timestamp: shared.timestamp + 60 * count, ...recipe });
  };
  return {
    toolbox,
    trees,
    remote,
    derive,
    machine: (machineName) => new TestMachine(tools, machineName),
    boot: async (machine, wish = {}) => {
      await createMachine(tools, machine, shared, wish);
      await machine.turnOn({ cuttable: wish.cuttable ?? false });
      const verdict = await machine.judged();
      await machine.ssh(followRemote(`http://${computer}:${remote.port}`));
      return verdict;
    },
    offer: async (files = {}) => {
      const tree = await derive({ files });
      await publish(trees, tree);
      return tree;
    },
    close: () => remote.close(),
  };
}

/** OSTree itself writes to the read-only /sysroot in a mount namespace of its own; `ostree config` does not. */
function followRemote(url: string): string {
  const change = `mount -o remount,rw /sysroot; ostree config --repo=/ostree/repo set "$1" "$2"`;
  return `unshare --mount sh -euc '${change}' sh 'remote "atoll".url' ${url} && sync`;
}

async function createMachine(
  tools: LabTools,
  machine: TestMachine,
  shared: Shared,
  wish: MachineWish,
): Promise<void> {
  const key = await labKey(tools.lab);
  await machine.create({
    image: { file: shared.image, format: "raw", label: shared.version },
    diskFormat: wish.diskFormat ?? "qcow2",
    diskGiB: wish.diskGiB ?? 3,
    memoryMiB: 1024,
    cpus: 2,
    // Half a second quicker to the boot loader than UEFI; test/firmware.test.ts boots by all of them.
    firmware: wish.firmware ?? "bios",
    ports: (wish.ports ?? []).map((guest) => ({ guest })),
    provisioning: { ...wish.provisioning, hostname: machine.name, rootKeys: [key.publicKey] },
  });
}

/** What all files of one test run share. */
interface Shared {
  /** Repository that holds the composed tree and the base of all test trees. */
  readonly repository: string;
  readonly ref: string;
  /** The composed tree with the tests' own units. */
  readonly base: string;
  readonly version: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly signer: Signer;
  /** Raw disk with the base tree. */
  readonly image: string;
}

const printed: Progress = {
  step: (step) => process.stdout.write(`        test bed: ${step}\n`),
  detail: () => {},
};

async function sharedGround(toolbox: Toolbox): Promise<Shared> {
  const folder = join(stateDirectory(), "bed");
  const known = join(folder, "shared.json");
  return withExclusive(join(folder, "lock"), { step: "waiting for the test bed" }, async () => {
    try {
      const shared: Shared = JSON.parse(await readFile(known, "utf8"));
      return shared;
    } catch (error) {
      if (!isSystemError(error, "ENOENT")) throw error;
    }
    const shared = await makeShared(toolbox, folder);
    await writeFile(known, JSON.stringify(shared));
    return shared;
  });
}

async function makeShared(toolbox: Toolbox, folder: string): Promise<Shared> {
  await mkdir(folder, { recursive: true });
  printed.step("building the programs");
  await buildAll();
  const state = stateDirectory();
  const composed = await composeTree({
    treefile: join(projectRoot, "os", "atoll.yaml"),
    ...{ toolbox, cache: cacheDirectory(), state, progress: printed, whenGone: "renew" },
  });
  for (const note of composed.notes) printed.step(note);
  const home = join(state, "keys", "gnupg");
  const signer = { home, keyId: (await readFile(join(state, "keys", "fingerprint"), "utf8")).trim() };
  const { repository, ref } = composed;
  const show = await toolbox.run(["ostree", "show", `--repo=${repository}`, composed.checksum], {
    step: "reading the composed tree",
    env: { TZ: "UTC" },
  });
  const timestamp = Date.parse(/^Date: +(.+)$/m.exec(show.stdout)?.[1] ?? "") / 1000;
  const trees = { toolbox, path: repository, ref, base: composed.checksum, signer };
  const base = await deriveTree(trees, {
    version: `${composed.version}.0`,
    timestamp: timestamp + 1,
    files: { ...verdictWatch, ...etcFiles },
  });
  const { output } = await buildImage({
    ...{ repo: repository, ref, commit: base.checksum, toolbox, progress: printed },
    output: join(folder, "disk.raw"),
    format: "raw",
    // A hang shall not take the tests a minute for each try.
    kernelArguments: [...composed.kernelArguments, "atoll.watchdog=30"],
    // Each machine is told of the remote of its own test; see followRemote.
    remoteUrl: `http://${computer}:1`,
  });
  const { version } = composed;
  return { repository, ref, base: base.checksum, version, timestamp, signer, image: output };
}

/** A repository with the base tree: its objects are hard links. */
async function ownRepository(toolbox: Toolbox, shared: Shared, name: string): Promise<TreeRepository> {
  const folder = join(stateDirectory(), "bed", name);
  const path = join(folder, "repo");
  await mkdir(folder, { recursive: true });
  const options = { step: "making the repository of a test" };
  await toolbox.run(["ostree", "init", `--repo=${path}`, "--mode=archive"], options);
  await toolbox.run(["ostree", "pull-local", `--repo=${path}`, shared.repository, shared.base], options);
  const { ref, base, signer } = shared;
  const trees = { toolbox, path, ref, base, signer };
  await publish(trees, { checksum: base });
  return trees;
}
