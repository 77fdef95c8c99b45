import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Type from "typebox";
import Value from "typebox/value";
import { AtollError, isSystemError } from "../errors.ts";

/**
 * What the lab knows of one machine: `machine.json` in the machine's own folder. Whether it runs is not written down
 * but looked up (`process` names the QEMU that was started last).
 */
const machineRecord = Type.Object({
  name: Type.String(),
  /** ISO 8601. */
  createdAt: Type.String(),
  /** A UUID, told to the machine by its firmware. */
  id: Type.String(),
  macAddress: Type.String(),
  firmware: Type.Union([Type.Literal("uefi"), Type.Literal("secureboot"), Type.Literal("bios")]),
  cpus: Type.Integer({ minimum: 1 }),
  memoryMiB: Type.Integer({ minimum: 64 }),
  diskFormat: Type.Union([Type.Literal("raw"), Type.Literal("qcow2")]),
  /** What is on the disk, in a person's words: a version. */
  image: Type.String(),
  /** Port of 127.0.0.1 that leads to the machine's SSH. */
  sshPort: Type.Integer(),
  /** Other ports that lead into it. */
  forwards: Type.Array(Type.Object({ host: Type.Integer(), guest: Type.Integer() })),
  /** False until its first boot is known to have taken the credentials; they are given to it until then. */
  provisioned: Type.Boolean(),
  process: Type.Union([
    Type.Null(),
    Type.Object({
      pid: Type.Integer(),
      startTicks: Type.Integer(),
      bootId: Type.String(),
      accelerator: Type.Union([Type.Literal("kvm"), Type.Literal("tcg")]),
      startedAt: Type.String(),
    }),
  ]),
});

export type MachineRecord = Type.Static<typeof machineRecord>;

/** The files of one machine. */
export interface MachineFiles {
  readonly directory: string;
  readonly record: string;
  readonly lock: string;
  readonly disk: string;
  readonly base: string;
  readonly variables: string;
  readonly credentials: string;
  readonly consoleSocket: string;
  readonly consoleLog: string;
  readonly monitorSocket: string;
  readonly qemuLog: string;
  readonly knownHosts: string;
  readonly sshSocket: string;
  readonly apiSocket: string;
}

/** Where everything of the machine `name` is. Sockets have short names: the kernel allows a path 107 bytes. */
export function machineFiles(lab: string, name: string): MachineFiles {
  const directory = join(lab, name);
  return {
    directory,
    record: join(directory, "machine.json"),
    lock: join(lab, `.${name}.lock`),
    disk: join(directory, "disk"),
    base: join(directory, "base.qcow2"),
    variables: join(directory, "uefi-variables.fd"),
    credentials: join(directory, "credentials"),
    consoleSocket: join(directory, "con"),
    consoleLog: join(directory, "console.log"),
    monitorSocket: join(directory, "qmp"),
    qemuLog: join(directory, "qemu.log"),
    knownHosts: join(directory, "known_hosts"),
    sshSocket: join(directory, "ssh"),
    apiSocket: join(directory, "api"),
  };
}

const namePattern = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
const socketPathBytes = 107;

/** Refuses names that cannot be a host name and a folder name. Errors: LAB_NAME_INVALID, LAB_PATH_TOO_LONG. */
export function checkName(lab: string, name: string): void {
  if (!namePattern.test(name)) throw new AtollError("LAB_NAME_INVALID", { name });
  // ssh makes its control socket under a name of its own first: a dot and 16 characters.
  const longest = `${machineFiles(lab, name).sshSocket}.0123456789abcdef`;
  if (Buffer.byteLength(longest) > socketPathBytes) {
    throw new AtollError("LAB_PATH_TOO_LONG", { path: lab, limit: socketPathBytes });
  }
}

/** The record of machine `name`. Errors: LAB_NO_MACHINE, LAB_RECORD_INVALID. */
export async function readRecord(lab: string, name: string): Promise<MachineRecord> {
  const file = machineFiles(lab, name).record;
  try {
    return parseRecord(await readFile(file, "utf8"), file);
  } catch (error) {
    if (!isSystemError(error, "ENOENT", "ENOTDIR")) throw error;
    const names = await machineNames(lab);
    throw new AtollError("LAB_NO_MACHINE", {
      name,
      known: names.length > 0 ? names.join(", ") : "none",
    });
  }
}

/** A machine.json's content. Errors: LAB_RECORD_INVALID with the first thing wrong in it. */
export function parseRecord(text: string, file: string): MachineRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AtollError("LAB_RECORD_INVALID", { file, problem: String(error) }, error);
  }
  if (Value.Check(machineRecord, value)) return value;
  const [first] = Value.Errors(machineRecord, value);
  const problem = first ? `${first.instancePath || "/"} ${first.message}` : "not a machine record";
  throw new AtollError("LAB_RECORD_INVALID", { file, problem });
}

/** Writes the record whole or not at all. */
export async function writeRecord(lab: string, record: MachineRecord): Promise<void> {
  const { directory, record: file } = machineFiles(lab, record.name);
  await mkdir(directory, { recursive: true });
  await writeFile(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`);
  await rename(`${file}.new`, file);
}

/** The names of the lab's machines: `atoll-2` before `atoll-10`. */
export async function machineNames(lab: string): Promise<string[]> {
  const entries = await readdir(lab, { withFileTypes: true }).catch((error: unknown) => {
    if (isSystemError(error, "ENOENT")) return [];
    throw error;
  });
  const names: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory() || !namePattern.test(entry.name)) continue;
    const files = await readdir(join(lab, entry.name));
    if (files.includes("machine.json")) names.push(entry.name);
  }
  return names.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
}
