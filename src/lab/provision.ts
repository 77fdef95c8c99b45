import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "../errors.ts";
import { type CredentialFile, fwCfgPrefix } from "./qemu.ts";

/** What a machine is told at its first boot, once. It keeps all of it. */
export interface Provisioning {
  readonly hostname: string;
  /** Public keys, as in authorized_keys, that may log in as root. */
  readonly rootKeys: readonly string[];
  readonly users?: readonly User[];
  readonly files?: readonly ProvisionedFile[];
  /** Units of the owner: kept in /etc/systemd/system, started, and enabled if they have an [Install] section. */
  readonly units?: readonly ProvisionedUnit[];
  /** Drop-ins for units that are there already. */
  readonly dropIns?: readonly DropIn[];
}

interface User {
  readonly name: string;
  readonly keys: readonly string[];
  /** Groups beside the user's own, such as `atoll` for the right to command the host. */
  readonly groups?: readonly string[];
}

interface ProvisionedFile {
  /** Absolute, below /etc or /var. */
  readonly path: string;
  /** Octal; 0644 when absent. */
  readonly mode?: string;
  readonly content: string;
}

interface ProvisionedUnit {
  /** With its suffix, such as `backup.service`. */
  readonly name: string;
  readonly content: string;
}

interface DropIn {
  /** The unit, with its suffix. */
  readonly unit: string;
  readonly content: string;
}

/**
 * `provisioning` as systemd credentials (systemd.system-credentials(7)), by name. tmpfiles.d(5) and sysusers.d(5)
 * lines carry what has no credential of its own; os/files/usr/lib/atoll/provision makes the host name and units last.
 * Errors: PROVISIONING_INVALID.
 */
export function credentials(provisioning: Provisioning): Map<string, string> {
  const users = provisioning.users ?? [];
  const tmpfiles = [
    ...users.flatMap(userFiles),
    ...(provisioning.files ?? []).map((file) => fileLine(checkedPath(file.path), file.mode, file.content)),
  ];
  const result = new Map<string, string>([
    ["system.hostname", provisioning.hostname],
    ["ssh.authorized_keys.root", lines(provisioning.rootKeys)],
  ]);
  if (tmpfiles.length > 0) result.set("tmpfiles.extra", lines(tmpfiles));
  for (const { name, content } of provisioning.units ?? []) {
    result.set(`systemd.extra-unit.${checkedUnit(name)}`, content);
  }
  for (const { unit, content } of provisioning.dropIns ?? []) {
    result.set(`systemd.unit-dropin.${checkedUnit(unit)}`, content);
  }
  if (users.length > 0) result.set("sysusers.extra", lines(users.flatMap(userLines)));
  return result;
}

function userLines({ name, groups = [] }: User): string[] {
  return [
    `u ${checkedUser(name)} - "${name}" /var/home/${name} /bin/bash`,
    ...groups.map((group) => `m ${name} ${group}`),
  ];
}

function userFiles({ name, keys }: User): string[] {
  const home = `/var/home/${name}`;
  return [
    `d ${home} 0700 ${name} ${name}`,
    `d ${home}/.ssh 0700 ${name} ${name}`,
    fileLine(`${home}/.ssh/authorized_keys`, "0600", lines(keys), name),
  ];
}

/** A line of tmpfiles.d(5) that makes a file, if it is not there yet, from content in base64. */
function fileLine(path: string, mode = "0644", content: string, owner = "root"): string {
  return `f~ ${path} ${mode} ${owner} ${owner} - ${Buffer.from(content).toString("base64")}`;
}

function lines(list: readonly string[]): string {
  return list.map((line) => `${line}\n`).join("");
}

function checkedPath(path: string): string {
  if (/^\/(etc|var)\/[\w@%+:,./-]+$/.test(path) && !path.split("/").includes("..")) return path;
  throw new AtollError("PROVISIONING_INVALID", {
    problem: `"${path}" is not the path of a file below /etc or /var`,
  });
}

function checkedUnit(name: string): string {
  if (/^[\w:.\\@-]+\.(service|socket|timer|path|mount|target|slice)$/.test(name)) return name;
  throw new AtollError("PROVISIONING_INVALID", { problem: `"${name}" is not the name of a unit` });
}

function checkedUser(name: string): string {
  if (/^[a-z_][a-z0-9_-]{0,30}$/.test(name)) return name;
  throw new AtollError("PROVISIONING_INVALID", { problem: `"${name}" is not a user name` });
}

/** QEMU refuses longer names of fw_cfg files. */
const fwCfgNameBytes = 55;

/**
 * How the credential `name` reaches the machine: as a file of QEMU's fw_cfg, or, when its name is too long for that,
 * as a string in the SMBIOS tables, in base64 so that it may hold anything.
 */
export function credentialCarrier(name: string): "fw_cfg" | "smbios" {
  return Buffer.byteLength(fwCfgPrefix + name) <= fwCfgNameBytes ? "fw_cfg" : "smbios";
}

/** The SMBIOS type 11 string of a credential. */
export function smbiosLine(name: string, content: string): string {
  return `io.systemd.credential.binary:${name}=${Buffer.from(content).toString("base64")}`;
}

/** Writes the credentials for QEMU to read, one file each, into the folder `directory`. */
export async function writeCredentials(directory: string, provisioning: Provisioning): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const [name, content] of credentials(provisioning)) {
    const carried = credentialCarrier(name) === "fw_cfg" ? content : smbiosLine(name, content);
    await writeFile(join(directory, name), carried, { mode: 0o600 });
  }
}

/** What `writeCredentials` left in `directory`, for the command line of QEMU. */
export async function credentialFiles(directory: string): Promise<CredentialFile[]> {
  const names = await readdir(directory);
  return names.toSorted().map((name) => ({ name, by: credentialCarrier(name), file: join(directory, name) }));
}
