import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError, isSystemError } from "../errors.ts";
import type { MachineRecord } from "./schemas.ts";

export type { MachineRecord } from "./schemas.ts";

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
    const text = await readFile(file, "utf8");
    const { machineRecord, parseAs } = await import("./schemas.ts");
    return parseAs(machineRecord, text, file);
  } catch (error) {
    if (!isSystemError(error, "ENOENT", "ENOTDIR")) throw error;
    const names = await machineNames(lab);
    throw new AtollError("LAB_NO_MACHINE", {
      name,
      known: names.length > 0 ? names.join(", ") : "none",
    });
  }
}

/** Writes the record whole or not at all. Errors: LAB_RECORD_INVALID for one that could not be read again. */
export async function writeRecord(lab: string, record: MachineRecord): Promise<void> {
  const { directory, record: file } = machineFiles(lab, record.name);
  const text = `${JSON.stringify(record, null, 2)}\n`;
  const { machineRecord, parseAs } = await import("./schemas.ts");
  parseAs(machineRecord, text, file);
  await mkdir(directory, { recursive: true });
  await writeFile(`${file}.new`, text);
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
