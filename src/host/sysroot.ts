/** Reads what is installed: deployments, their order, arguments and origins, from libostree's own files. */
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { AtollError, isSystemError } from "../errors.ts";
import { decodeVariant } from "../gvariant.ts";
import { bootIdOf, ownedArguments, parseTreeId } from "./boot-id.ts";
import { type Commit, readCommit, readCommitIfWhole } from "./commit.ts";
import type { Deployment, Remote } from "./model.ts";

/** Everything about a deployment but who signed it, which takes GPG to say. */
export type InstalledDeployment = Omit<Deployment, "signature">;

export interface Sysroot {
  /** In boot order. */
  readonly deployments: readonly InstalledDeployment[];
  readonly remotes: readonly Remote[];
}

/** Where the files are; `/` on a host, a directory in tests. */
export interface SysrootPaths {
  readonly root: string;
  /** `/run/ostree` on a host. */
  readonly run: string;
  /** The root that runs, which tells the booted deployment. */
  readonly running: string;
}

export const hostPaths: SysrootPaths = { root: "/", run: "/run/ostree", running: "/" };

export const stateroot = "atoll";

export function repositoryOf(paths: SysrootPaths): string {
  return join(paths.root, "ostree", "repo");
}

export function deploymentDirectory(paths: SysrootPaths, id: string): string {
  return join(paths.root, "ostree", "deploy", stateroot, "deploy", id);
}

/** Errors: HOST_NOT_ATOLL when there is no stateroot. */
export async function readSysroot(paths: SysrootPaths): Promise<Sysroot> {
  const staged = await readStaged(paths);
  const installed = await againIfGone(() => readEntries(paths));
  const found = [...(staged ? [staged] : []), ...installed];
  const rootDevice = await stat(paths.running);
  const facts = await Promise.all(found.map((entry) => describe(paths, entry, rootDevice)));
  return { deployments: inOrder(facts), remotes: await readRemotes(paths) };
}

/** A deployment as the boot loader's entry, or the staged file, has it. */
interface Entry {
  readonly id: string;
  readonly staged: boolean;
  readonly kernelArguments: readonly string[] | null;
}

type Facts = Omit<InstalledDeployment, "index" | "rollback">;

async function describe(
  paths: SysrootPaths,
  entry: Entry,
  root: { readonly dev: number; readonly ino: number },
): Promise<Facts> {
  const directory = deploymentDirectory(paths, entry.id);
  const [checksum = "", serial = "0"] = entry.id.split(".");
  // Its version and date only; a damaged object must not keep the host from going back, or from removing it.
  const commit = await readCommitIfWhole(repositoryOf(paths), checksum);
  const origin = parseOrigin(await textOf(`${directory}.origin`));
  const treeId = parseTreeId(await textOf(join(directory, "usr/lib/atoll/boot-id.cfg")));
  const here = await stat(directory).catch(() => null);
  const unlocked = await stat(join(paths.run, "deployment-state", entry.id, "unlocked-development")).catch(
    () => null,
  );
  return {
    ...entry,
    checksum,
    serial: Number(serial),
    version: commit?.version ?? null,
    timestamp: commit?.timestamp ?? new Date(0).toISOString(),
    booted: here !== null && here.dev === root.dev && here.ino === root.ino,
    pinned: origin.pinned,
    unlocked: origin.unlocked || unlocked !== null,
    bootId: treeId !== null && entry.kernelArguments ? bootIdOf(treeId, entry.kernelArguments) : null,
    treeId,
    origin: origin.refspec,
  };
}

/** Numbers the deployments and marks the one to go back to: the first after the booted one, as libostree does. */
function inOrder(facts: readonly Facts[]): InstalledDeployment[] {
  const booted = facts.findIndex((entry) => entry.booted);
  return facts.map((entry, index) => ({ ...entry, index, rollback: booted >= 0 && index === booted + 1 }));
}

/** The origin file of a deployment, in GKeyFile form. */
export function parseOrigin(text: string): { refspec: string | null; pinned: boolean; unlocked: boolean } {
  return {
    refspec: /^refspec=(.+)$/m.exec(text)?.[1] ?? null,
    pinned: /^pinned=true$/m.test(text),
    unlocked: /^unlocked=(?!none$).+$/m.test(text),
  };
}

/** One Boot Loader Specification entry (type 1). */
export function parseBootEntry(text: string): { version: number; options: string } {
  return {
    version: Number(/^version\s+(\d+)/m.exec(text)?.[1] ?? 0),
    options: /^options\s+(.*)$/m.exec(text)?.[1] ?? "",
  };
}

/**
 * What `read` gives. libostree puts new entries and links in place as a whole, then deletes the old ones: who was about
 * to read these finds them gone, and the new ones at a second look. Errors: those of `read`.
 */
export async function againIfGone<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isSystemError(error, "ENOENT")) throw error;
    return read();
  }
}

async function readEntries(paths: SysrootPaths): Promise<Entry[]> {
  const directory = join(paths.root, "boot/loader/entries");
  const names = await readdir(directory).catch((error: unknown) => {
    throw new AtollError("HOST_NOT_ATOLL", { problem: `${directory} cannot be read` }, error);
  });
  const files = names.filter((name) => name.startsWith("ostree-") && name.endsWith(".conf"));
  const entries = await Promise.all(
    files.map(async (name) => parseBootEntry(await readFile(join(directory, name), "utf8"))),
  );
  const ordered = entries.toSorted((a, b) => b.version - a.version);
  return Promise.all(ordered.map((entry) => deployedAs(paths, entry.options)));
}

/** Follows `ostree=/ostree/boot.N/NAME/BOOTCSUM/SERIAL`, a symbolic link to the deployment's directory. */
async function deployedAs(paths: SysrootPaths, options: string): Promise<Entry> {
  const link = /(?:^|\s)ostree=(\S+)/.exec(options)?.[1];
  if (link === undefined)
    throw new AtollError("HOST_NOT_ATOLL", { problem: "a boot entry names no deployment" });
  const target = await readlink(join(paths.root, link));
  return { id: basename(target), staged: false, kernelArguments: ownedArguments(options) };
}

async function readStaged(paths: SysrootPaths): Promise<Entry | null> {
  try {
    return parseStaged(await readFile(join(paths.run, "staged-deployment")));
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return null;
    throw error;
  }
}

/** /run/ostree/staged-deployment: `a{sv}` with the target's name and the arguments it will get. */
export function parseStaged(bytes: Buffer): Entry | null {
  const staged = decodeVariant("a{sv}", bytes);
  if (!(staged instanceof Map)) return null;
  const target = staged.get("target");
  const id = target instanceof Map ? target.get("name") : undefined;
  if (typeof id !== "string") return null;
  const words = staged.get("kargs");
  const kernelArguments = Array.isArray(words) ? ownedArguments(words.map(String).join(" ")) : null;
  return { id, staged: true, kernelArguments };
}

async function readRemotes(paths: SysrootPaths): Promise<Remote[]> {
  const repo = await textOf(join(repositoryOf(paths), "config"));
  const directory = join(paths.root, "etc/ostree/remotes.d");
  const names = await readdir(directory).catch(() => []);
  const files = await Promise.all(
    names.filter((name) => name.endsWith(".conf")).map((name) => textOf(join(directory, name))),
  );
  return [repo, ...files].flatMap(parseRemotes);
}

/** The `[remote "NAME"]` groups of a repository's configuration. */
export function parseRemotes(text: string): Remote[] {
  return text
    .split(/^(?=\[)/m)
    .map((group) => ({
      name: /^\[remote "(.+)"\]/.exec(group)?.[1],
      url: /^url\s*=\s*(.+)$/m.exec(group)?.[1],
    }))
    .flatMap(({ name, url }) => (name !== undefined && url !== undefined ? [{ name, url: url.trim() }] : []));
}

/** `checksum` and its ancestors, newest first, as far as their commit objects are here. */
export async function readAncestry(paths: SysrootPaths, checksum: string): Promise<Commit[]> {
  const line: Commit[] = [];
  for (let next: string | null = checksum; next !== null; ) {
    const commit: Commit | null = await readCommit(repositoryOf(paths), next);
    if (commit === null) break;
    line.push(commit);
    next = commit.parent;
  }
  return line;
}

/** The text of a file; empty when it is not there. */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ENOTDIR")) return "";
    throw error;
  }
}
