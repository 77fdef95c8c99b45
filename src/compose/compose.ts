import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError, asAtollError } from "../errors.ts";
import { withExclusive } from "../exclusive.ts";
import type { Progress } from "../progress.ts";
import { openBase, treesPath } from "./base.ts";
import { usingCache } from "./cache-use.ts";
import { hashInputs } from "./inputs.ts";
import { type Lock, writeLock } from "./lock.ts";
import { commitMetadata, commitSource, type TreeName } from "./metadata.ts";
import { tidyCache } from "./prune.ts";
import { openRepository, type Release, type Repository, readMetadata, readReleases } from "./repository.ts";
import { type LockState, settleLock } from "./settle-lock.ts";
import type { ShapePlan } from "./shape.ts";
import { openSigningKey, type SigningKey } from "./signing.ts";
import { type Toolbox, withBinds } from "./toolbox.ts";
import { makeTree } from "./tree.ts";
import { readTreefile, type Treefile } from "./treefile.ts";
import { type Entry, joinEntries, type PinnedIds, parseEntries } from "./users.ts";
import { nextVersion } from "./version.ts";

export interface ComposeOptions {
  readonly treefile: string;
  readonly toolbox: Toolbox;
  /** `cacheDirectory()` */
  readonly cache: string;
  /** `stateDirectory()`: the signing key is in keys/, the repository in repo/. */
  readonly state: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  /** Version to give, before that of the treefile. */
  readonly version?: string;
  /** Resolve the packages anew, to Debian's newest, and write the lock. */
  readonly updateLock?: boolean;
  /** What to do when no mirror has a locked package any more: resolve anew, or stop. "fail" when absent. */
  readonly whenGone?: "renew" | "fail";
  /** An older release with the same inputs will do as well as the newest, and stays as old as it is. */
  readonly anyRelease?: boolean;
  /** How many of the releases before get a delta to the new one. 3 when absent. */
  readonly deltas?: number;
}

export interface ComposeResult {
  readonly checksum: string;
  readonly version: string;
  readonly ref: string;
  readonly treeId: string;
  readonly repository: string;
  /** True when a release has the same inputs: nothing was committed, and it is what this result tells of. */
  readonly unchanged: boolean;
  readonly lock: { readonly file: string; readonly written: boolean; readonly packages: number };
  readonly kernelArguments: readonly string[];
  /** The key that machines need to trust. */
  readonly publicKey: string;
  /** Things that a person should know and that stopped nothing. */
  readonly notes: readonly string[];
}

/**
 * Composes what a treefile describes: packages by its lock, files over them, a signed commit in the repository with
 * deltas from the releases before, and the summary. When an equal tree is the newest release already, nothing is done.
 * Errors: TREEFILE_*, LOCK_*, PACKAGES_*, IDS_*, FILE_MISPLACED, KERNEL_NOT_ONE, VERSION_NOT_NEWER, SIGNING_KEY_LOST,
 * COMMAND_FAILED, INTERRUPTED. After any of them the repository is as it was.
 */
export async function composeTree(given: ComposeOptions): Promise<ComposeResult> {
  const result = await usingCache(given, () => compose(given));
  return { ...result, notes: [...result.notes, ...(await tidied(given))] };
}

/** Tidies the cache at the end: what was composed stands, whatever comes of that. */
async function tidied({ cache, progress, signal }: ComposeOptions): Promise<string[]> {
  try {
    const removed = await tidyCache({ cache, progress, ...(signal && { signal }) });
    if (removed.length === 0) return [];
    const megabytes = Math.ceil(removed.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6);
    const names = removed.map(({ name }) => name).join(", ");
    return [`removed from the cache, as nothing has used it for long: ${names} (${megabytes} MB)`];
  } catch (error) {
    return [`the cache could not be tidied: ${asAtollError(error).message}`];
  }
}

async function compose(given: ComposeOptions): Promise<ComposeResult> {
  const toolbox = withBinds(given.toolbox, [given.cache, given.state]);
  const options = { ...given, toolbox };
  const { progress, signal } = options;
  progress.step("reading the treefile");
  const treefile = await readTreefile(options.treefile);
  const path = join(options.state, "repo");
  const key = await openSigningKey(join(options.state, "keys"), {
    ...{ toolbox, repository: path },
    ...(signal && { signal }),
  });
  const repository = await openRepository(path, key, {
    toolbox,
    trees: treesPath(options.cache),
    ...(signal && { signal }),
  });
  const settled = await settleLock(treefile, options);
  const notes = toolbox.pinned ? settled.notes : [...settled.notes, notPinned];
  const exclusive = {
    step: "waiting for the repository",
    onWait: () => progress.detail("another compose writes to it; waiting"),
    ...(signal && { signal }),
  };
  return withExclusive(join(options.state, "repo.lock"), exclusive, () =>
    composeLocked({ ...options, treefile, lock: settled.lock, notes, key, repository }),
  );
}

const notPinned =
  "Debian no longer has some packages of os/toolbox.lock: the tree is made by newer tools, and on another computer it " +
  "may be another; `scripts/run toolbox-lock` renews that lock";

interface Composing extends Omit<ComposeOptions, "treefile" | "version"> {
  readonly treefile: Treefile;
  readonly version?: string;
  readonly lock: LockState;
  readonly notes: readonly string[];
  readonly key: SigningKey;
  readonly repository: Repository;
}

/** What is settled before anything is made. */
interface Intent {
  readonly ref: string;
  readonly releases: readonly Release[];
  readonly ids: PinnedIds;
  readonly inputs: string;
  /** The version asked for, or null: the next one. */
  readonly version: string | null;
}

async function composeLocked(composing: Composing): Promise<ComposeResult> {
  const { treefile, lock, key, repository } = composing;
  const ref = `atoll/x86_64/${treefile.stream}`;
  const ids = await pinnedIds(treefile, lock);
  const intent: Intent = {
    ref,
    releases: await readReleases(repository.path, ref, composing),
    ids,
    inputs: await hashInputs(treefile, lock.value, ids, await readFile(key.publicKey), composing.toolbox.id),
    version: composing.version ?? treefile.version,
  };
  return (await findUnchanged(composing, intent)) ?? (await makeRelease(composing, intent));
}

/** The newest release, or where any will do the newest such, that was made from the same inputs. */
async function findUnchanged(composing: Composing, intent: Intent): Promise<ComposeResult | null> {
  const { repository, anyRelease = false } = composing;
  const [newest] = intent.releases;
  for (const release of anyRelease ? intent.releases : intent.releases.slice(0, 1)) {
    if (intent.version !== null && intent.version !== release.version) continue;
    const read = (name: string) => readMetadata(repository.path, release.checksum, name, composing);
    if ((await read("atoll.inputs")) !== intent.inputs) continue;
    // An earlier run may have been stopped between naming the commit and writing the summary.
    if (newest && !(await repository.isPublished(intent.ref)))
      await repository.publish(intent.ref, newest.checksum);
    const id = (await read("atoll.tree-id")) ?? "";
    return resultOf(composing, intent, release, id, { unchanged: true, notes: [] });
  }
  return null;
}

async function makeRelease(composing: Composing, intent: Intent): Promise<ComposeResult> {
  const { treefile, lock, repository, progress } = composing;
  const { ref, releases, ids, inputs } = intent;
  const [newest] = releases;
  const base = await openBase(lock.value, ids, { ...composing, mirrors: treefile });
  const used = releases.map((release) => release.version);
  const version = nextVersion(intent.version, used, epoch(lock.value));
  const timestamp = Math.max(epoch(lock.value), (newest?.timestamp ?? 0) + 1);
  const tree = { id: treeIdOf(inputs, version), version, timestamp };
  const work = join(composing.cache, `tree-${tree.id}-${process.pid}`);
  try {
    const plan = shapePlan(composing, ids, tree, work);
    const made = await makeTree(base, plan, treefile.initramfsModules, composing);
    if (made.fresh.users.length + made.fresh.groups.length > 0) {
      // The first tree with these packages: the lock pins its ids from now on, and the tree is made again with them in
      // place beforehand, as every later one will be.
      return await composeLocked({ ...composing, lock: await pinFresh(lock, made.fresh) });
    }
    progress.step("committing the tree");
    const checksum = await repository.commit({
      ...{ tree: work, ref, parent: newest?.checksum ?? null, subject: `Atoll ${version}`, timestamp },
      metadata: await commitMetadata(treefile, lock.value, { inputs, toolbox: composing.toolbox.id }, tree),
      detached: await commitSource(treefile),
    });
    await makeDeltas(composing, releases, checksum);
    progress.step("signing the summary");
    await repository.publish(ref, checksum);
    const notes = made.idle.map((rule) => `nothing in the tree matches the \`remove\` rule ${rule}`);
    return resultOf(composing, intent, { checksum, version, timestamp }, tree.id, {
      unchanged: false,
      notes,
    });
  } finally {
    await composing.toolbox.run(["rm", "-rf", work], { step: "tidying up" });
  }
}

function resultOf(
  { treefile, lock, key, repository, notes }: Composing,
  { ref }: Intent,
  { checksum, version }: Release,
  treeId: string,
  more: Pick<ComposeResult, "unchanged" | "notes">,
): ComposeResult {
  return {
    ...{ checksum, version, ref, treeId, repository: repository.path, unchanged: more.unchanged },
    lock: { file: lock.file, written: lock.fresh, packages: lock.value.packages.length },
    ...{
      kernelArguments: treefile.kernelArguments,
      publicKey: key.publicKey,
      notes: [...notes, ...more.notes],
    },
  };
}

/** Adds ids to a lock made in this run. Errors: IDS_UNPINNED when it was not: what is checked in stays as it is. */
async function pinFresh(lock: LockState, fresh: PinnedIds): Promise<LockState> {
  if (!lock.fresh) {
    const entries = [...fresh.users, ...fresh.groups].map(([name, , id]) => `${name} (${id})`).join(", ");
    throw new AtollError("IDS_UNPINNED", { entries });
  }
  const lines = (entries: readonly Entry[]) => entries.map((entry) => entry.join(":"));
  const { users, groups } = lock.value;
  const value = {
    ...lock.value,
    users: [...users, ...lines(fresh.users)],
    groups: [...groups, ...lines(fresh.groups)],
  };
  await writeLock(lock.file, value);
  return { ...lock, value };
}

async function pinnedIds(treefile: Treefile, { file, value }: LockState): Promise<PinnedIds> {
  const { users } = treefile;
  const baseline = async (path: string, fields: 7 | 4) =>
    parseEntries(path, await readFile(path, "utf8"), fields);
  return {
    users: joinEntries(
      users ? await baseline(users.passwd, 7) : [],
      parseEntries(file, value.users.join("\n"), 7),
    ),
    groups: joinEntries(
      users ? await baseline(users.group, 4) : [],
      parseEntries(file, value.groups.join("\n"), 4),
    ),
  };
}

/** 16 hex digits that name a tree on the machines that boot it: equal inputs in another version are another tree. */
function treeIdOf(inputs: string, version: string): string {
  return createHash("sha256").update(`${inputs}\n${version}`).digest("hex").slice(0, 16);
}

function shapePlan({ treefile, key }: Composing, ids: PinnedIds, tree: TreeName, root: string): ShapePlan {
  const osRelease = Object.entries(treefile.osRelease).map(([field, value]) => [
    field,
    value.replaceAll("{version}", tree.version),
  ]);
  const { remove, units, defaultTarget, kernelArguments } = treefile;
  const trusted = {
    from: key.publicKey,
    to: "/usr/share/ostree/trusted.gpg.d/atoll.gpg",
    mode: 0o644,
    strip: false,
  };
  return {
    ...{ root, remove, units, defaultTarget, kernelArguments, ids, treeId: tree.id },
    files: [...treefile.files, trusted],
    osRelease: Object.fromEntries(osRelease),
  };
}

async function makeDeltas(
  composing: Composing,
  releases: readonly Release[],
  checksum: string,
): Promise<void> {
  const from = releases.slice(0, composing.deltas ?? 3);
  if (from.length > 0) composing.progress.step("making deltas");
  for (const release of from) {
    composing.progress.detail(`from ${release.version}`);
    await composing.repository.delta(release.checksum, checksum);
  }
}

/** The time that a tree says it is from, in seconds since 1970: SOURCE_DATE_EPOCH, or when its lock was resolved. */
function epoch(lock: Lock): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  return given !== undefined && /^\d+$/.test(given)
    ? Number(given)
    : Math.floor(Date.parse(lock.resolved) / 1000);
}
