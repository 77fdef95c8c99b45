import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildImage } from "../src/compose/image.ts";
import { hasCode } from "../src/errors.ts";
import {
  createMachine,
  getMachine,
  killMachine,
  type LabTools,
  type MachineSpec,
  markProvisioned,
  removeMachine,
  startMachine,
} from "../src/lab/machine.ts";
import { machineFiles } from "../src/lab/record.ts";
import { labKey } from "../src/lab/ssh.ts";
import { Console } from "../test/console.ts";
import { deriveTree, verdictWatch } from "../test/trees.ts";
import { type BenchContext, processTimes } from "./harness.ts";
import type { Ground } from "./trees.ts";

/** How long a machine may take to be ready. Emulated it is slow; hung is hung. */
const patienceMs = 10 * 60_000;

/**
 * A shell script that says on the console when it runs (seconds since the kernel started), when multi-user.target was
 * reached, and how much memory there is and is available (kB). The same one for all machines that are compared.
 */
export const sayReady = `#!/bin/sh
read -r uptime _ </proc/uptime
while read -r name value _; do
  case $name in MemTotal:) total=$value ;; MemAvailable:) available=$value ;; esac
done </proc/meminfo
reached=$(systemctl show --property=ActiveEnterTimestampMonotonic --value multi-user.target)
echo "BENCH-READY uptime=$uptime multi-user=$reached total=$total available=$available" >/dev/ttyS0
`;

const readyLine = /BENCH-READY uptime=([\d.]+) multi-user=(\d+) total=(\d+) available=(\d+)\r?\n/;

/** One start of a machine, up to the moment when it was ready. */
export interface Start {
  /** Seconds since QEMU started, its firmware and boot loader included. */
  readonly wall: number;
  /** Seconds of processor time that QEMU has used. */
  readonly cpu: number;
  /** Seconds since the guest's kernel started. */
  readonly uptime: number;
  /** The same, when multi-user.target was reached. */
  readonly multiUser: number;
  /** Bytes of memory that the guest has, and that are in use (not available to programs that want some). */
  readonly memory: number;
  readonly used: number;
}

/** A disk with our tree, which says on the console when it was judged; its machines look for updates at `remoteUrl`. */
export async function makeHostImage(
  context: BenchContext,
  ground: Ground,
  remoteUrl: string,
): Promise<MachineSpec["image"]> {
  const { toolbox, progress, signal, scratch } = context;
  const { kernelArguments } = await context.composed();
  const say = verdictWatch["usr/lib/atoll-test/say-verdict"];
  if (!say || !("content" in say)) throw new Error("the tests' watch for verdicts has no script");
  const script = `${sayReady}${say.content.toString().replace("#!/bin/sh\n", "")}`;
  const tree = await deriveTree(ground, {
    version: `${ground.version}.10`,
    timestamp: ground.timestamp + 10,
    files: { ...verdictWatch, "usr/lib/atoll-test/say-verdict": { content: script, mode: 0o755 } },
  });
  const output = join(scratch, "host.raw");
  await buildImage({
    ...{ repo: ground.path, ref: ground.ref, commit: tree.checksum, output, format: "raw", kernelArguments },
    ...{ remoteUrl, toolbox, progress, signal },
  });
  return { file: output, format: "raw", label: tree.version };
}

/** Makes a machine, stopped, for `startTimed`: the same one whatever is on its disk. */
export async function makeMachine(tools: LabTools, name: string, image: MachineSpec["image"]): Promise<void> {
  const { publicKey } = await labKey(tools.lab);
  await createMachine(tools, {
    ...{ name, image, diskGiB: 8, memoryMiB: 1024, cpus: 2, firmware: "uefi", ports: [] },
    provisioning: { hostname: name, rootKeys: [publicKey] },
  });
  await writeFile(machineFiles(tools.lab, name).consoleLog, "");
}

/** Leaves nothing of a machine, whatever became of it. */
export async function dropMachine(lab: string, name: string): Promise<void> {
  try {
    await killMachine({ lab }, name);
    await removeMachine({ lab }, name);
  } catch (error) {
    // It was never made, or its making failed: then nothing of it is left.
    if (!hasCode(error, "LAB_NO_MACHINE")) throw error;
  }
}

/** Starts a stopped machine and waits until it says that it is ready. */
export async function startTimed(tools: LabTools, name: string): Promise<Start> {
  const screen = new Console(machineFiles(tools.lab, name).consoleLog);
  const mark = await screen.mark();
  await startMachine(tools, name);
  const limit = AbortSignal.timeout(patienceMs);
  const stop = tools.signal ? AbortSignal.any([tools.signal, limit]) : limit;
  const [, ...said] = await screen.waitFor(readyLine, mark, stop);
  const qemu = (await getMachine(tools.lab, name)).record.process;
  if (!qemu) throw new Error(`${name} does not run`);
  const { age, cpu } = await processTimes(qemu.pid);
  await markProvisioned(tools, name);
  const [uptime = 0, reached = 0, total = 0, available = 0] = said.map(Number);
  return {
    ...{ wall: age, cpu, uptime, multiUser: Math.round(reached / 10_000) / 100 },
    ...{ memory: total * 1024, used: (total - available) * 1024 },
  };
}
