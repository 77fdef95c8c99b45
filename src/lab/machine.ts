import { spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, link, mkdir, open, readFile, realpath, rm, truncate } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Toolbox } from "../compose/toolbox.ts";
import { AtollError, asAtollError, hasCode, isSystemError } from "../errors.ts";
import { withExclusive } from "../exclusive.ts";
import { cacheDirectory, imagesPath } from "../paths.ts";
import { lastLines } from "../process.ts";
import { type AcceleratorChoice, chooseAccelerator } from "./accelerator.ts";
import { askQemu } from "./monitor.ts";
import { freePort } from "./ports.ts";
import { credentialFiles, type Provisioning, writeCredentials } from "./provision.ts";
import { type Firmware, firmwareFiles, type PortForward, qemuCommand } from "./qemu.ts";
import {
  checkName,
  type MachineFiles,
  type MachineRecord,
  machineFiles,
  machineNames,
  readRecord,
  writeRecord,
} from "./record.ts";
import { identify, isRunning, signalProcess, waitForEnd } from "./running.ts";
import { closeConnection } from "./ssh.ts";

/** What a new machine is to be. */
export interface MachineSpec {
  readonly name: string;
  /** A disk image; the machine gets its own copy, so the file may go afterwards. */
  readonly image: { readonly file: string; readonly format: "raw" | "qcow2"; readonly label: string };
  /** `qcow2` (the default) grows as it fills; `raw` is what the power-cut tests need. */
  readonly diskFormat?: "raw" | "qcow2";
  /** Size of its disk; that of the image when that is larger. */
  readonly diskGiB: number;
  readonly memoryMiB: number;
  readonly cpus: number;
  readonly firmware: Firmware;
  /** Ports of the machine to reach from this computer, at `wish` or the next free port above it. */
  readonly ports: readonly { readonly guest: number; readonly wish?: number }[];
  readonly provisioning: Provisioning;
}

export interface LabContext {
  /** `labDirectory()`. */
  readonly lab: string;
  readonly signal?: AbortSignal;
}

export interface LabTools extends LabContext {
  readonly toolbox: Toolbox;
}

export interface Machine {
  readonly record: MachineRecord;
  readonly files: MachineFiles;
  readonly running: boolean;
}

/** The machine `name` and whether it runs. Errors: LAB_NO_MACHINE, LAB_RECORD_INVALID. */
export async function getMachine(lab: string, name: string): Promise<Machine> {
  const record = await readRecord(lab, name);
  const running = record.process !== null && (await isRunning(record.process));
  return { record, files: machineFiles(lab, name), running };
}

/** All machines of the lab, by name, but for those whose record is damaged: one of them must not stop the others. */
export async function listMachines(lab: string): Promise<Machine[]> {
  const found = await Promise.all((await machineNames(lab)).map((name) => getUndamaged(lab, name)));
  return found.filter((machine) => machine !== null);
}

/** `getMachine`, but null where the record is damaged. */
async function getUndamaged(lab: string, name: string): Promise<Machine | null> {
  try {
    return await getMachine(lab, name);
  } catch (error) {
    if (hasCode(error, "LAB_RECORD_INVALID")) return null;
    throw error;
  }
}

/**
 * Makes a machine, stopped. Errors: LAB_NAME_INVALID, LAB_PATH_TOO_LONG, LAB_MACHINE_EXISTS, COMMAND_FAILED; after any
 * of them nothing of it is left.
 */
export async function createMachine(tools: LabTools, spec: MachineSpec): Promise<Machine> {
  const { lab } = tools;
  checkName(lab, spec.name);
  return locked(tools, spec.name, async () => {
    const files = machineFiles(lab, spec.name);
    const others = await listMachines(lab);
    if ((await machineNames(lab)).includes(spec.name)) {
      throw new AtollError("LAB_MACHINE_EXISTS", { name: spec.name });
    }
    // Without a record the folder is the rest of a creation that was cut off.
    await rm(files.directory, { recursive: true, force: true });
    await mkdir(files.directory, { recursive: true, mode: 0o700 });
    try {
      await makeDisk(tools, spec, files);
      const firmware = firmwareFiles(spec.firmware);
      if (firmware) await copyFile(join(tools.toolbox.root, firmware.variables), files.variables);
      await writeCredentials(files.credentials, spec.provisioning);
      await writeRecord(lab, await newRecord(spec, others));
    } catch (error) {
      await rm(files.directory, { recursive: true, force: true });
      throw error;
    }
    return getMachine(lab, spec.name);
  });
}

async function newRecord(spec: MachineSpec, others: readonly Machine[]): Promise<MachineRecord> {
  const taken = new Set(
    others.flatMap(({ record }) => [record.sshPort, ...record.forwards.map(({ host }) => host)]),
  );
  const claim = async (wish?: number): Promise<number> => {
    const port = await freePort(taken, wish);
    taken.add(port);
    return port;
  };
  const forwards: PortForward[] = [];
  for (const { guest, wish } of spec.ports) forwards.push({ guest, host: await claim(wish) });
  return {
    name: spec.name,
    createdAt: new Date().toISOString(),
    id: randomUUID(),
    // 52:54:00 is the prefix that QEMU's own machines use.
    macAddress: `52:54:00:${randomBytes(3)
      .toString("hex")
      .replaceAll(/(..)(?=.)/g, "$1:")}`,
    firmware: spec.firmware,
    cpus: spec.cpus,
    memoryMiB: spec.memoryMiB,
    diskFormat: spec.diskFormat ?? "qcow2",
    image: spec.image.label,
    sshPort: await claim(),
    forwards,
    provisioned: false,
    process: null,
  };
}

const gibibyte = 1024 ** 3;

async function makeDisk(
  { toolbox, signal }: LabTools,
  spec: MachineSpec,
  files: MachineFiles,
): Promise<void> {
  const step = `making the disk of ${spec.name}`;
  const stop = signal && { signal };
  const { file, format } = spec.image;
  const binds = [file];
  const info = await toolbox.run(["qemu-img", "info", "--output=json", file], { step, binds, ...stop });
  const size = Math.max(spec.diskGiB * gibibyte, virtualSize(info.stdout));
  if (spec.diskFormat === "raw") {
    const convert = ["qemu-img", "convert", "-f", format, "-O", "raw", file, files.disk] as const;
    await toolbox.run(convert, { step, binds, ...stop });
    await truncate(files.disk, size);
    return;
  }
  if (format === "qcow2") await takeImage(file, files.base);
  else await toolbox.run(["cp", "--sparse=always", file, files.base], { step, binds, ...stop });
  const overlay = ["qemu-img", "create", "-f", "qcow2", "-F", format, "-b", files.base, files.disk] as const;
  await toolbox.run([...overlay, String(size)], { step, ...stop });
}

function virtualSize(info: string): number {
  const value: unknown = JSON.parse(info);
  if (typeof value === "object" && value !== null && "virtual-size" in value) {
    return Number(value["virtual-size"]);
  }
  throw new AtollError("INTERNAL", { cause: `qemu-img info says no virtual-size: ${info}` });
}

/** Our own images are never changed once made, so one file serves many machines; a user's file is the user's to change. */
async function takeImage(from: string, to: string): Promise<void> {
  try {
    if (dirname(await realpath(from)) === (await realpath(imagesPath(cacheDirectory()))))
      return await link(from, to);
  } catch (error) {
    if (!isSystemError(error, "EXDEV", "EPERM", "EMLINK", "ENOENT")) throw error;
  }
  // Where the file system can, both share what neither changes.
  await copyFile(from, to, constants.COPYFILE_FICLONE);
}

export interface StartOptions {
  /** Runs on a throw-away layer over the disk and logs its writes to this file: what a power cut needs. */
  readonly writeLog?: string;
  /** Chosen by a probe when absent. */
  readonly accelerator?: AcceleratorChoice;
}

/**
 * Starts a stopped machine; QEMU goes on when this process ends. Gives it back once QEMU answers, which is before its
 * firmware has done anything. Errors: LAB_NO_MACHINE, LAB_RUNNING, LAB_START_FAILED, INTERRUPTED; after any of them it
 * does not run.
 */
export async function startMachine(
  tools: LabTools,
  name: string,
  options: StartOptions = {},
): Promise<Machine> {
  return locked(tools, name, async () => {
    const { record, files, running } = await getMachine(tools.lab, name);
    if (running) throw new AtollError("LAB_RUNNING", { name });
    const choice = options.accelerator ?? (await chooseAccelerator(tools));
    const ready = await withFreePorts(tools.lab, record);
    await Promise.all(
      [files.consoleSocket, files.monitorSocket, files.apiSocket].map((path) => rm(path, { force: true })),
    );
    const disk = options.writeLog
      ? await loggedDisk(tools, files, record, options.writeLog)
      : { file: files.disk, format: record.diskFormat };
    const command = qemuCommand({
      ...ready,
      ...files,
      accelerator: choice.accelerator,
      disk,
      forwards: [{ host: ready.sshPort, guest: 22 }, ...ready.forwards],
      credentials: record.provisioned ? [] : await credentialFiles(files.credentials),
    });
    await launch(tools, ready, choice, tools.toolbox.argv(command));
    return getMachine(tools.lab, name);
  });
}

/** The record, with another port for each one that something else on this computer has taken meanwhile. */
async function withFreePorts(lab: string, record: MachineRecord): Promise<MachineRecord> {
  const others = (await listMachines(lab)).filter((machine) => machine.record.name !== record.name);
  const taken = new Set(
    others.flatMap(({ record: other }) => [other.sshPort, ...other.forwards.map(({ host }) => host)]),
  );
  const forwards: PortForward[] = [];
  for (const { guest, host } of record.forwards) forwards.push({ guest, host: await freePort(taken, host) });
  return { ...record, sshPort: await freePort(taken, record.sshPort), forwards };
}

/** A layer over the raw disk that takes this run's writes, while the log keeps them for the tests to replay. */
async function loggedDisk(
  { toolbox, signal }: LabTools,
  files: MachineFiles,
  record: MachineRecord,
  writeLog: string,
): Promise<{ file: string; format: "qcow2"; writeLog: string }> {
  const layer = join(files.directory, "throw-away.qcow2");
  await rm(layer, { force: true });
  await rm(writeLog, { force: true });
  await (await open(writeLog, "w")).close();
  await toolbox.run(
    ["qemu-img", "create", "-q", "-f", "qcow2", "-F", record.diskFormat, "-b", files.disk, layer],
    { step: `making a throw-away disk for ${record.name}`, ...(signal && { signal }) },
  );
  return { file: layer, format: "qcow2", writeLog };
}

async function launch(
  { lab, signal }: LabContext,
  record: MachineRecord,
  { accelerator }: AcceleratorChoice,
  [program, ...words]: [string, ...string[]],
): Promise<void> {
  const { name } = record;
  const files = machineFiles(lab, name);
  const log = await open(files.qemuLog, "w");
  const child = spawn(program, words, { detached: true, stdio: ["ignore", log.fd, log.fd], cwd: "/" });
  const failed = new Promise<never>((_, reject) => child.once("error", reject));
  failed.catch(() => {});
  child.unref();
  await log.close();
  const identity = child.pid === undefined ? null : await identify(child.pid);
  try {
    if (!identity) throw new Error("it ended at once");
    const startedAt = new Date().toISOString();
    await writeRecord(lab, { ...record, process: { ...identity, accelerator, startedAt } });
    for (;;) {
      if (signal?.aborted) throw new AtollError("INTERRUPTED", { step: `starting ${name}` });
      if (!(await isRunning(identity))) throw new Error("it ended at once");
      try {
        await askQemu(files.monitorSocket, "query-status", { machine: name });
        return;
      } catch {
        // Its socket comes up within a moment; a QEMU that ends instead is seen above.
        await Promise.race([sleep(20), failed]);
      }
    }
  } catch (error) {
    if (identity) await signalProcess(identity, "SIGKILL");
    await writeRecord(lab, { ...record, process: null });
    if (error instanceof AtollError) throw error;
    const said = lastLines(await readFile(files.qemuLog, "utf8"), 3);
    throw new AtollError(
      "LAB_START_FAILED",
      { name, cause: said || asAtollError(error).message, log: files.qemuLog },
      error,
    );
  }
}

/** Writes down that the machine has taken its credentials: from the next start on it is not given them. */
export async function markProvisioned(context: LabContext, name: string): Promise<void> {
  await locked(context, name, async () => {
    const record = await readRecord(context.lab, name);
    if (!record.provisioned) await writeRecord(context.lab, { ...record, provisioned: true });
  });
}

export type StopOutcome = "was-stopped" | "powered-off" | "forced";

/** How long the power button is given; an emulated machine takes half a minute to shut down. */
const powerOffMs = 120_000;
/** A machine that has not started to listen for its power button yet misses the first press. */
const pressAgainMs = 10_000;

/**
 * Stops a machine by its power button, and pulls the plug when it has not gone down after two minutes.
 * Errors: LAB_NO_MACHINE, INTERRUPTED (it goes on shutting down).
 */
export async function stopMachine(
  context: LabContext,
  name: string,
  options: { readonly graceMs?: number } = {},
): Promise<StopOutcome> {
  return locked(context, name, async () => {
    const { record, files, running } = await getMachine(context.lab, name);
    await closeConnection(files);
    if (!running || !record.process) return "was-stopped";
    const end = performance.now() + (options.graceMs ?? powerOffMs);
    while (performance.now() < end) {
      if (context.signal?.aborted) throw new AtollError("INTERRUPTED", { step: `stopping ${name}` });
      try {
        await askQemu(files.monitorSocket, "system_powerdown", { machine: name });
      } catch (error) {
        // It may be gone between two looks; if it is not, and does not listen either, only the plug is left.
        if (await isRunning(record.process)) break;
        if (!(error instanceof AtollError)) throw error;
      }
      const wait = Math.min(pressAgainMs, end - performance.now());
      if (await waitForEnd(record.process, wait, context.signal)) return "powered-off";
    }
    // QEMU closes its files in order when it is told to quit; it is killed only if it does not.
    await askQemu(files.monitorSocket, "quit", { machine: name }).catch(() => {});
    if (!(await waitForEnd(record.process, 10_000))) await signalProcess(record.process, "SIGKILL");
    await waitForEnd(record.process, 10_000);
    return "forced";
  });
}

/** Pulls the plug: QEMU is killed on the spot. False when it did not run. Errors: LAB_NO_MACHINE. */
export async function killMachine(context: LabContext, name: string): Promise<boolean> {
  return locked(context, name, async () => {
    const machine = await getUndamaged(context.lab, name);
    // Nothing says which process it was; if it runs, it listens here.
    if (!machine) return asksDamaged(context.lab, name, "quit");
    const { record, files } = machine;
    const killed = record.process !== null && (await signalProcess(record.process, "SIGKILL"));
    if (killed && record.process) await waitForEnd(record.process, 10_000);
    await closeConnection(files);
    return killed;
  });
}

/** Whether QEMU of a machine without a good record did `command`; it does not where it does not run. */
async function asksDamaged(lab: string, name: string, command: "query-status" | "quit"): Promise<boolean> {
  return askQemu(machineFiles(lab, name).monitorSocket, command, { machine: name }).then(
    () => true,
    () => false,
  );
}

/** Removes a stopped machine with its disk, also one whose record is damaged. Errors: LAB_NO_MACHINE, LAB_RUNNING. */
export async function removeMachine(context: LabContext, name: string): Promise<void> {
  await locked(context, name, async () => {
    const machine = await getUndamaged(context.lab, name);
    const files = machineFiles(context.lab, name);
    if (machine?.running ?? (await asksDamaged(context.lab, name, "query-status")))
      throw new AtollError("LAB_RUNNING", { name });
    await closeConnection(files);
    await rm(files.directory, { recursive: true });
  });
}

/** One command at a time for each machine; the second one waits. */
function locked<T>({ lab, signal }: LabContext, name: string, work: () => Promise<T>): Promise<T> {
  const options = { step: `waiting for another command on ${name}`, ...(signal && { signal }) };
  return withExclusive(machineFiles(lab, name).lock, options, work);
}
