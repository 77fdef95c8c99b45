/** Looking for an update: what the remote has, who signed it, what it would change, and whether it fits. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { AtollError, asAtollError } from "../errors.ts";
import { diffPackages } from "../packages.ts";
import { type Commit, readCommit, readCommitIfWhole, type SizedObject } from "./commit.ts";
import type { UpdateAvailable } from "./model.ts";
import { answersTo, branchOf } from "./names.ts";
import type { Branch } from "./ostree.ts";
import { bootedOf, type Candidate, planDeploy } from "./plan.ts";
import type { Ports } from "./ports.ts";
import { guessedNeed, type Need, needOf, needToLayOut, needToLook, shortage, shownBytes } from "./storage.ts";
import { deploymentDirectory, readSysroot, repositoryOf, type Sysroot } from "./sysroot.ts";

/** The newest tree of `branch`. Errors: those of the remote and of signatures; COMMIT_UNREADABLE. */
export async function newestOf(
  ports: Ports,
  sysroot: Sysroot,
  branch: Branch,
  signal: AbortSignal,
): Promise<Candidate> {
  await proveRoom(ports, needToLook);
  const checksum = await ports.ostree.fetchCommit(branch, null, signal);
  return candidateOf(sysroot, branch, await commitOf(ports, checksum));
}

/**
 * The tree that `name` (a version or a checksum) means: among the deployments, else in the history of `branch`, from
 * its newest one back. What is older than the tree that is asked for is nobody's business: its key may have been
 * retired long ago. Errors: DEPLOYMENT_UNKNOWN, and those of `newestOf`.
 */
export async function namedTree(
  ports: Ports,
  sysroot: Sysroot,
  branch: Branch,
  name: string,
  signal: AbortSignal,
): Promise<Candidate> {
  const installed = sysroot.deployments.find((one) => answersTo(one, name));
  if (installed) return candidateOf(sysroot, branch, await commitOf(ports, installed.checksum));
  let { commit } = await newestOf(ports, sysroot, branch, signal);
  while (!answersTo(commit, name)) {
    const where = `${branch.ref} at ${branch.url}`;
    if (commit.parent === null) throw new AtollError("DEPLOYMENT_UNKNOWN", { name, where });
    commit = await ancestor(ports, branch, commit.parent, signal);
  }
  return candidateOf(sysroot, branch, commit);
}

/** The commit `checksum`, fetched where it is not here yet. Errors: those of `newestOf`. */
async function ancestor(
  ports: Ports,
  branch: Branch,
  checksum: string,
  signal: AbortSignal,
): Promise<Commit> {
  const known = await readCommit(repositoryOf(ports.paths.sysroot), checksum);
  if (known) return known;
  await proveRoom(ports, needToLook);
  return commitOf(ports, await ports.ostree.fetchCommit(branch, checksum, signal));
}

/**
 * Only what is deployed is known to be whole: where the power ends libostree's deleting, a commit may lie there without
 * its files and without a mark of that. To fetch what is there takes a look at each object, and brings what is missing.
 */
function candidateOf({ deployments }: Sysroot, branch: Branch, commit: Commit): Candidate {
  return { commit, branch, complete: deployments.some(({ checksum }) => checksum === commit.checksum) };
}

async function commitOf(ports: Ports, checksum: string): Promise<Commit> {
  const commit = await readCommit(repositoryOf(ports.paths.sysroot), checksum);
  if (!commit)
    throw new AtollError("COMMIT_UNREADABLE", { checksum, problem: "it is not in the repository" });
  return commit;
}

/**
 * Proves that `candidate` fits before anything changes; gives what it needs.
 * Errors: NO_SPACE, naming the file system, and how much to free.
 */
export async function proveFit(ports: Ports, sysroot: Sysroot, candidate: Candidate): Promise<Need> {
  const need = await needFor(ports, sysroot, candidate);
  await proveRoom(ports, need);
  return need;
}

/**
 * Proves that one more deployment of `checksum`, which is on this host, fits: its directories, for its files are links
 * and its kernel is there. Errors: NO_SPACE.
 */
export async function proveLayout(ports: Ports, checksum: string): Promise<void> {
  const commit = await readCommit(repositoryOf(ports.paths.sysroot), checksum);
  await proveRoom(ports, commit?.sizes ? needOf(commit.sizes, () => false, 0) : needToLayOut);
}

/** Errors: NO_SPACE. */
async function proveRoom(ports: Ports, need: Need): Promise<void> {
  const [root, boot] = await Promise.all(
    ["ostree", "boot"].map((name) => ports.disk.fileSystem(join(ports.paths.sysroot.root, name))),
  );
  if (!root || !boot) return;
  const reserve = { percent: ports.config.update.reservePercent };
  const lack = shortage(need, { ...root, path: "/" }, { ...boot, path: "/boot" }, reserve);
  if (lack === null) return;
  const show = lack.what === "space" ? shownBytes : (count: number): string => `${count} inodes`;
  const needed = show(lack.needed);
  throw new AtollError("NO_SPACE", {
    where: lack.where,
    needed: need.guessed
      ? `up to ${needed} (guessed from what runs, as the tree does not tell its size)`
      : needed,
    available: show(lack.available),
    missing: show(lack.missing),
  });
}

async function needFor(
  ports: Ports,
  { deployments }: Sysroot,
  { commit, complete }: Candidate,
): Promise<Need> {
  const booted = deploymentDirectory(ports.paths.sysroot, bootedOf(deployments).id);
  // A new kernel is about as large as the running one; both stay in /boot until the old deployment goes.
  const kernel = await kernelBytes(booted);
  if (commit.sizes === null) {
    return guessedNeed(await ports.disk.usage(join(booted, "usr")), kernel, complete);
  }
  const present = await presentObjects(ports);
  return needOf(commit.sizes, (object) => !present.has(object.checksum + extensionOf(object)), kernel);
}

function extensionOf({ kind }: SizedObject): string {
  return kind === "other" ? ".file" : `.${kind}`;
}

/** Names of all objects in the repository, as `<checksum>.<kind>`. */
async function presentObjects(ports: Ports): Promise<Set<string>> {
  const objects = join(repositoryOf(ports.paths.sysroot), "objects");
  const names = new Set<string>();
  for (const folder of await readdir(objects)) {
    for (const rest of await readdir(join(objects, folder)).catch(() => [])) names.add(folder + rest);
  }
  return names;
}

async function kernelBytes(deployment: string): Promise<number> {
  const modules = join(deployment, "usr/lib/modules");
  const [release = ""] = await readdir(modules).catch(() => []);
  const sizes = await Promise.all(
    ["vmlinuz", "initramfs.img"].map((name) =>
      stat(join(modules, release, name)).then(
        (file) => file.size,
        () => 0,
      ),
    ),
  );
  return Math.ceil(sizes.reduce((sum, size) => sum + size, 0) * 1.2);
}

/**
 * What the remote of the booted deployment has beyond it; null when there is nothing newer.
 * Remembered for `status`. Errors: those of `newestOf`, NO_REMOTE.
 */
export async function lookForUpdate(ports: Ports, signal: AbortSignal): Promise<UpdateAvailable | null> {
  const sysroot = await readSysroot(ports.paths.sysroot);
  const booted = bootedOf(sysroot.deployments);
  const branch = branchOf(booted.origin, sysroot, ports.config.update.url);
  const candidate = await newestOf(ports, sysroot, branch, signal);
  if (candidate.commit.checksum === booted.checksum) {
    await ports.store.update.clear();
    return null;
  }
  return rememberUpdate(ports, sysroot, candidate, signal);
}

/** Remembers for `status` what the remote has, and why it would be refused. */
export async function rememberUpdate(
  ports: Ports,
  sysroot: Sysroot,
  candidate: Candidate,
  signal: AbortSignal,
): Promise<UpdateAvailable> {
  const update = await describeUpdate(ports, sysroot, candidate, signal);
  await ports.store.update.write(update);
  return update;
}

async function describeUpdate(
  ports: Ports,
  sysroot: Sysroot,
  candidate: Candidate,
  signal: AbortSignal,
): Promise<UpdateAvailable> {
  const { commit, branch } = candidate;
  const booted = bootedOf(sysroot.deployments);
  const running = await readCommitIfWhole(repositoryOf(ports.paths.sysroot), booted.checksum);
  const fit = await Promise.all([refusalOf(ports, sysroot, candidate), needFor(ports, sysroot, candidate)]);
  const [refusal, need] = fit;
  return {
    checksum: commit.checksum,
    version: commit.version,
    timestamp: commit.timestamp,
    origin: `${branch.remote}:${branch.ref}`,
    signature: await ports.ostree.verify(commit.checksum, branch.remote, signal),
    size: need.guessed ? null : need.bytes,
    packages: running?.packages && commit.packages ? diffPackages(running.packages, commit.packages) : null,
    refusal,
    checkedAt: ports.clock.now().toISOString(),
  };
}

async function refusalOf(
  ports: Ports,
  sysroot: Sysroot,
  candidate: Candidate,
): Promise<UpdateAvailable["refusal"]> {
  try {
    const bad = (await ports.store.bad.read()) ?? [];
    const options = { allowBad: false, allowDowngrade: false, reboot: false };
    planDeploy({ deployments: sysroot.deployments, bad }, candidate, options);
    await proveFit(ports, sysroot, candidate);
    return null;
  } catch (thrown) {
    const error = asAtollError(thrown);
    if (error.code === "INTERNAL") throw thrown;
    return { code: error.code, message: error.message };
  }
}
