/** A fleet's certificates, for tests. */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../process.ts";
import {
  type Authority,
  createAuthority,
  issueCertificate,
  newKey,
  requestCertificate,
} from "./authority.ts";
import type { MachineRole, PersonRole } from "./names.ts";
import type { Subject } from "./profiles.ts";
import { type Revocation, signRevocationList } from "./revocation.ts";
import type { Credentials, ServerTrust } from "./tls.ts";

export const sampleFleet = "harbour";

/** A machine id that ends in `number`. */
export function machineId(number: number): string {
  return number.toString(16).padStart(32, "0");
}

export function sampleMachine(number: number, role: MachineRole = "control"): Subject {
  const names = { dnsNames: ["localhost", `m${number}.example`], addresses: ["127.0.0.1", "::1"] };
  return { profile: "machine", id: machineId(number), role, ...names };
}

export function samplePerson(name: string, role: PersonRole): Subject {
  return { profile: "person", name, role };
}

/** It began a month ago, so that it can have issued what has ended by now. */
export function sampleAuthority(purpose: "fleet" | "etcd" = "fleet"): Promise<Authority> {
  const monthAgo = new Date(Date.now() - 30 * 24 * 3600 * 1000);
  return createAuthority({ fleet: sampleFleet, purpose, now: monthAgo });
}

/** What a machine or person does to get a certificate: a key of its own, a request, and what comes back. */
export async function credentialsFor(
  authority: Authority,
  subject: Subject,
  options: { readonly now?: Date; readonly life?: number } = {},
): Promise<Credentials> {
  const privateKey = newKey();
  const request = await requestCertificate(privateKey);
  const certificate = await issueCertificate(authority, request, subject, { now: new Date(), ...options });
  return { certificate, privateKey };
}

/** Trust in `authorities`, each with its list of `revoked`. */
export async function trustIn(
  authorities: readonly [Authority, ...Authority[]],
  revoked: readonly Revocation[] = [],
  now: Date = new Date(),
): Promise<ServerTrust> {
  const [first, ...others] = authorities;
  const list = async (authority: Authority): Promise<string> =>
    (await signRevocationList(authority, revoked, { number: 1, now })).pem;
  return {
    roots: authorities.map(({ certificate }) => certificate),
    revocationLists: [await list(first), ...(await Promise.all(others.map(list)))],
  };
}

/** Runs `work` with a folder in which `files` lie, and removes it. */
export async function withFiles<T>(
  files: Readonly<Record<string, string | Buffer>>,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "atoll-pki-"));
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** False where the `openssl` command can be asked; why its tests are skipped otherwise. */
export function opensslMissing(): false | string {
  const found = spawnSync("openssl", ["version"]).status === 0;
  return found ? false : "there is no openssl command to ask for a second opinion";
}

/** What `openssl WORDS` says in `cwd`, on both streams, and whether it was content. */
export async function openssl(cwd: string, ...words: string[]): Promise<{ well: boolean; text: string }> {
  const options = { step: "asking openssl", cwd, accept: [0, 1, 2] };
  const { code, stdout, stderr } = await run(["openssl", ...words], options);
  return { well: code === 0, text: `${stdout}\n${stderr}` };
}
