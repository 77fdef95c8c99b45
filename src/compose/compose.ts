import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "../errors.ts";
import { withExclusive } from "../exclusive.ts";
import type { Progress } from "../progress.ts";
import { openBase, treesPath } from "./base.ts";
import { hashInputs } from "./inputs.ts";
import { type Lock, writeLock } from "./lock.ts";
import { commitMetadata, type TreeName } from "./metadata.ts";
import { openRepository, type Release, type Repository, readMetadata, readReleases } from "./repository.ts";
import { type LockState, settleLock } from "./settle-lock.ts";
import type { ShapePlan } from "./shape.ts";
import { openSigningKey, type SigningKey } from "./signing.ts";
import type { Toolbox } from "./toolbox.ts";
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
  /** How many of the releases before get a delta to the new one. 3 when absent. */
  readonly deltas?: number;
}

export interface ComposeResult {
  readonly checksum: string;
  readonly version: string;
  readonly ref: string;
  readonly treeId: string;
  readonly repository: string;
  /** True when the newest release has the same inputs: nothing was committed, and it is what this result tells of. */
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
export async function composeTree(options: ComposeOptions): Promise<ComposeResult> {
  const { toolbox, progress, signal } = options;
  progress.step("reading the treefile");
  const treefile = await readTreefile(options.treefile);
  const key = await openSigningKey(join(options.state, "keys"), { toolbox, ...(signal && { signal }) });
  const repository = await openRepository(join(options.state, "repo"), key, {
    toolbox,
    trees: treesPath(options.cache),
    ...(signal && { signal }),
  });
  const { lock, notes } = await settleLock(treefile, options);
  const exclusive = {
    step: "waiting for the repository",
    onWait: () => progress.detail("another compose writes to it; waiting"),
    ...(signal && { signal }),
  };
  return withExclusive(join(options.state, "repo.lock"), exclusive, () =>
    composeLocked({ ...options, treefile, lock, notes, key, repository }),
  );
}

interface Composing extends Omit<ComposeOptions, "treefile" | "version"> {
  readonly treefile: Treefile;
  readonly version?: string;
  readonly lock: LockState;
  readonly notes: readonly string[];
  readonly key: SigningKey;
  readonly repository: Repository;
}

async function composeLocked(composing: Composing): Promise<ComposeResult> {
  const { treefile, repository, key } = composing;
  const ref = `atoll/x86_64/${treefile.stream}`;
  const releases = await readReleases(repository.path, ref, composing);
  const { lock } = composing;
  const inputs = await hashInputs(treefile, lock.value, await readFile(key.publicKey));
  const given = composing.version ?? treefile.version;
  const result = (
    release: Release,
    treeId: string,
    unchanged: boolean,
    more: readonly string[] = [],
  ): ComposeResult => ({
    ...{
      checksum: release.checksum,
      version: release.version,
      ref,
      treeId,
      repository: repository.path,
      unchanged,
    },
    lock: { file: lock.file, written: lock.fresh, packages: lock.value.packages.length },
    ...{
      kernelArguments: treefile.kernelArguments,
      publicKey: key.publicKey,
      notes: [...composing.notes, ...more],
    },
  });
  const [newest] = releases;
  if (newest && (given === null || given === newest.version)) {
    const before = await readMetadata(repository.path, newest.checksum, "atoll.inputs", composing);
    if (before === inputs) {
      return result(
        newest,
        (await readMetadata(repository.path, newest.checksum, "atoll.tree-id", composing)) ?? "",
        true,
      );
    }
  }
  const ids = await pinnedIds(treefile, lock);
  const base = await openBase(lock.value, ids, composing);
  const timestamp = Math.max(epoch(lock.value), (newest?.timestamp ?? 0) + 1);
  const used = releases.map(({ version }) => version);
  const version = nextVersion(given, used, epoch(lock.value));
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
    composing.progress.step("committing the tree");
    const checksum = await repository.commit({
      ...{ tree: work, ref, parent: newest?.checksum ?? null, subject: `Atoll ${version}`, timestamp },
      metadata: await commitMetadata(treefile, lock.value, inputs, tree),
    });
    await publish(composing, releases, checksum);
    const idle = made.idle.map((rule) => `nothing in the tree matches the \`remove\` rule ${rule}`);
    return result({ checksum, version, timestamp }, tree.id, false, idle);
  } finally {
    await composing.toolbox.run(["rm", "-rf", work], { step: "tidying up" });
  }
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

async function publish(composing: Composing, releases: readonly Release[], checksum: string): Promise<void> {
  const { repository, progress } = composing;
  const from = releases.slice(0, composing.deltas ?? 3);
  if (from.length > 0) progress.step("making deltas");
  for (const release of from) {
    progress.detail(`from ${release.version}`);
    await repository.delta(release.checksum, checksum);
  }
  progress.step("signing the summary");
  await repository.publish();
}

/** The time that a tree says it is from, in seconds since 1970: SOURCE_DATE_EPOCH, or when its lock was resolved. */
function epoch(lock: Lock): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  return given !== undefined && /^\d+$/.test(given)
    ? Number(given)
    : Math.floor(Date.parse(lock.resolved) / 1000);
}
