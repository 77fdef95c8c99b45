import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { markUsed, usingCache } from "../compose/cache-use.ts";
import { type ComposeResult, composeTree } from "../compose/compose.ts";
import { buildImage } from "../compose/image.ts";
import { recipeHash } from "../compose/inputs.ts";
import { openToolbox } from "../compose/toolbox.ts";
import { AtollError } from "../errors.ts";
import { withExclusive } from "../exclusive.ts";
import { exists, imagesPath, labDirectory } from "../paths.ts";
import type { Progress } from "../progress.ts";
import { chooseAccelerator } from "./accelerator.ts";
import {
  createMachine,
  getMachine,
  killMachine,
  type LabTools,
  listMachines,
  type Machine,
  markProvisioned,
  startMachine,
} from "./machine.ts";
import { findOrigin, type Origin, pushImage, startOrigin, stopOrigin } from "./origin.ts";
import { installPrerequisites } from "./prerequisites.ts";
import type { Firmware } from "./qemu.ts";
import { makeSampleImage, samplePort, sampleQuadlet } from "./sample.ts";
import { labKey } from "./ssh.ts";
import { waitForPage, waitUntilJudged } from "./wait.ts";

export interface UpOptions {
  /** `cacheDirectory()` and `stateDirectory()`. */
  readonly cache: string;
  readonly state: string;
  readonly treefile: string;
  /** Names of the machines that are to run. */
  readonly names: readonly string[];
  readonly firmware: Firmware;
  readonly memoryMiB: number;
  readonly cpus: number;
  readonly diskGiB: number;
  readonly env: NodeJS.ProcessEnv;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Says a whole line to the person who waits. */
  readonly say: (line: string) => void;
}

export interface UpMachine {
  readonly machine: Machine;
  /** What this run did for it. */
  readonly was: "created" | "started" | "running";
  /** Where its sample page is. */
  readonly page: string | null;
}

export interface UpResult {
  readonly composed: ComposeResult;
  readonly machines: readonly UpMachine[];
}

const sampleName = "sample-web";
/** Where the sample page is looked for on this computer; the next free port when it is taken. */
const pagePort = 8080;

/**
 * The main job: from nothing to machines that run, are well, and serve a page. What is there and still true is used
 * again. When it is interrupted, what it started is stopped; when it fails, it is left for a look.
 * Errors: those of every step; LAB_NOT_WELL when a machine comes up unwell or not at all.
 */
export async function labUp(options: UpOptions): Promise<UpResult> {
  const lock = {
    step: "waiting for another `atoll lab up`",
    onWait: () => options.say("another `atoll lab up` is at work; waiting for it"),
    signal: options.signal,
  };
  return withExclusive(join(labDirectory(options.env), ".up.lock"), lock, async () => {
    const undo: (() => Promise<unknown>)[] = [];
    try {
      return await bringUp(options, undo);
    } catch (error) {
      if (options.signal.aborted) for (const step of undo.toReversed()) await step();
      throw error;
    }
  });
}

async function bringUp(options: UpOptions, undo: (() => Promise<unknown>)[]): Promise<UpResult> {
  const { cache, state, progress, signal, env } = options;
  await installPrerequisites(options);
  const toolbox = await openToolbox({ cache, progress, signal });
  const tools: LabTools = { lab: labDirectory(env), toolbox, signal };
  const known = new Map((await listMachines(tools.lab)).map((machine) => [machine.record.name, machine]));
  const composed = await composeTree({
    ...{ cache, state, progress, signal, toolbox, treefile: options.treefile },
    // Machines that are there need no disk: what their owner composed since stays the newest.
    anyRelease: options.names.every((name) => known.has(name)),
    // A stranger's first run must not fail because Debian has moved on; what changed is said in the notes.
    whenGone: "renew",
  });
  const origin = await bringUpOrigin(options, tools, composed, undo);
  const machines: UpMachine[] = [];
  if (options.names.some((name) => !known.get(name)?.running)) await sayHowMachinesRun(options, tools);
  for (const name of options.names) {
    const before = known.get(name);
    // The image must not go before the machine has it.
    if (!before) await usingCache(options, () => create(options, tools, composed, origin, name));
    if (!before?.running) {
      progress.step(`starting ${name}`);
      await startMachine(tools, name);
      undo.push(() => killMachine({ lab: tools.lab }, name));
    }
    machines.push({
      machine: await getMachine(tools.lab, name),
      was: before ? (before.running ? "running" : "started") : "created",
      page: null,
    });
  }
  return { composed, machines: await Promise.all(machines.map((each) => settle(options, tools, each))) };
}

async function sayHowMachinesRun({ say, env }: UpOptions, tools: LabTools): Promise<void> {
  const { accelerator, reason } = await chooseAccelerator({ ...tools, env });
  if (accelerator === "tcg") say(`machines are emulated here, and slow: ${reason}`);
}

async function bringUpOrigin(
  { progress, cache }: UpOptions,
  tools: LabTools,
  composed: ComposeResult,
  undo: (() => Promise<unknown>)[],
): Promise<Origin> {
  const before = await findOrigin(tools);
  if (before.running) return before;
  progress.step("starting what serves machines their trees and images");
  const origin = await startOrigin(tools, composed.repository);
  undo.push(() => stopOrigin({ lab: tools.lab }));
  try {
    const layout = join(cache, sampleName);
    await makeSampleImage(tools.toolbox, layout);
    await pushImage(tools, origin, layout, sampleName);
  } catch (error) {
    // One that runs is taken to hold the image, the next time.
    await stopOrigin({ lab: tools.lab });
    throw error;
  }
  return origin;
}

async function create(
  options: UpOptions,
  tools: LabTools,
  composed: ComposeResult,
  origin: Origin,
  name: string,
): Promise<void> {
  const file = await findImage(options, tools, composed, origin);
  const { accelerator } = await chooseAccelerator({ ...tools, env: options.env });
  options.progress.step(`making ${name}`);
  await createMachine(tools, {
    name,
    image: { file, format: "qcow2", label: composed.version },
    ...{ diskGiB: options.diskGiB, memoryMiB: options.memoryMiB, cpus: options.cpus },
    firmware: options.firmware,
    ports: [{ guest: samplePort, wish: pagePort }],
    provisioning: {
      hostname: name,
      rootKeys: [(await labKey(tools.lab)).publicKey],
      files: [
        {
          path: `/etc/containers/systemd/${sampleName}.container`,
          content: await sampleQuadlet(origin.registry),
        },
        { path: "/etc/containers/registries.conf.d/10-lab.conf", content: registriesConf(origin.registry) },
      ],
      dropIns: accelerator === "tcg" ? [patience] : [],
    },
  });
}

/** An emulated machine on a busy computer may take longer to start than a trial has by default (300 seconds). */
const patience = {
  unit: "atoll-deadline.service",
  content: "[Service]\nEnvironment=ATOLL_DEADLINE=900\n",
};

/** containers-registries.conf(5): the lab's registry speaks plain HTTP, to this computer's own machines only. */
function registriesConf(registry: string): string {
  return `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`;
}

/** The disk image of the composed tree; made once for each tree, origin, and way of making it. */
async function findImage(
  options: UpOptions,
  { toolbox }: LabTools,
  composed: ComposeResult,
  origin: Origin,
): Promise<string> {
  const { progress, signal } = options;
  const { checksum, kernelArguments } = composed;
  const parts = [checksum, kernelArguments, origin.remoteUrl, await recipeHash(toolbox.id)];
  const key = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
  const output = join(imagesPath(options.cache), `${key}.qcow2`);
  await mkdir(imagesPath(options.cache), { recursive: true });
  return withExclusive(`${output}.lock`, { step: "waiting for the disk image", signal }, async () => {
    if (await exists(output)) {
      await markUsed(output);
      return output;
    }
    await buildImage({
      ...{ repo: composed.repository, ref: composed.ref, commit: composed.checksum },
      ...{ output, format: "qcow2", kernelArguments: composed.kernelArguments, remoteUrl: origin.remoteUrl },
      ...{ toolbox, progress, signal },
    });
    return output;
  });
}

async function settle(options: UpOptions, tools: LabTools, each: UpMachine): Promise<UpMachine> {
  const { progress, signal } = options;
  const { name } = each.machine.record;
  if (each.was !== "running") progress.step(`waiting for ${name} to be judged well`);
  const status = await waitUntilJudged(tools, name);
  if (status.verdict?.outcome !== "well") {
    throw new AtollError("LAB_NOT_WELL", {
      name,
      cause: status.verdict?.reasons.join("; ") || "it was judged unwell",
    });
  }
  await markProvisioned(tools, name);
  const port = each.machine.record.forwards.find(({ guest }) => guest === samplePort)?.host;
  if (port === undefined) return each;
  const page = `http://127.0.0.1:${port}/`;
  if (each.was !== "running") progress.step(`waiting for the page of ${name}`);
  await waitForPage(page, name, signal);
  return { ...each, page };
}
