import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { copyFile, mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import Type from "typebox";
import { treesPath } from "../src/compose/base.ts";
import { composeTree } from "../src/compose/compose.ts";
import { debPath, fetchDebs } from "../src/compose/debs.ts";
import { type LockedPackage, readLock } from "../src/compose/lock.ts";
import { openRepository } from "../src/compose/repository.ts";
import { readTreefile } from "../src/compose/treefile.ts";
import { projectRoot } from "../src/paths.ts";
import { deriveTree, type TreeFile } from "../test/trees.ts";
import { type BenchContext, defineBench, median, repeat, timed } from "./harness.ts";
import { type Origin, openOrigin, type Traffic } from "./origin.ts";
import { readFolder } from "./overlay.ts";
import { bytes, percent, seconds, table } from "./table.ts";
import { checkOut, type Ground, openGround } from "./trees.ts";

const waySchema = Type.Object({
  /** Bytes that the server sent, with the headers of HTTP. */
  bytes: Type.Integer(),
  requests: Type.Integer(),
  /** On the host, to fetch it and to have its content on the disk. */
  seconds: Type.Number(),
  /** At the origin, once, beside the commit itself. */
  made: Type.Number(),
});

const updateSchema = Type.Object({
  kind: Type.String(),
  what: Type.String(),
  pull: waySchema,
  delta: waySchema,
  patch: waySchema,
});

type Way = Type.Static<typeof waySchema>;
type Update = Type.Static<typeof updateSchema>;

/** What an update costs on the wire and in time, by each way to bring it, for three kinds of update. */
export const updates = defineBench({
  name: "updates",
  figures: Type.Object({
    /** Our tree whole. All three updates end in it, or in it with a file or two changed: measured once. */
    image: waySchema,
    updates: Type.Array(updateSchema),
  }),
  measure: async (context) => {
    const ground = await openGround(context);
    const image = await measureImage(context, ground);
    const measured: Update[] = [];
    for (const makePair of [smallChange, bigPackage, securityUpdate]) {
      const pair = await makePair(context, ground);
      if (pair === null) continue;
      context.progress.step(`measuring updates: ${pair.kind}`);
      measured.push({ kind: pair.kind, what: pair.what, ...(await measurePair(context, ground, pair)) });
    }
    return { image, updates: measured };
  },
  render: (figures) => figures.updates.map((update) => renderUpdate(update, figures.image)).join("\n\n"),
});

function renderUpdate({ kind, what, pull, delta, patch }: Update, image: Way): string {
  const row = (name: string, way: Way): string[] => [
    name,
    bytes(way.bytes),
    percent(way.bytes, image.bytes),
    `${way.requests}`,
    seconds(way.seconds),
    way.made === 0 ? "" : seconds(way.made),
  ];
  const rows = [
    row("**OSTree static delta** (what Atoll does)", delta),
    row("plain OSTree pull", pull),
    row("full image, `zstd -19`", image),
    row("`zstd -19 --patch-from` of the whole tree (the floor)", patch),
  ];
  const head = ["by", "on the wire", "of the full image", "requests", "on the host", "at the origin, once"];
  return `### ${kind}\n\n${what}\n\n${table(head, rows)}`;
}

/** Two trees in the repository of this run. */
interface Pair {
  readonly kind: string;
  readonly what: string;
  readonly from: string;
  readonly to: string;
}

const dataSize = 10 * 1024 * 1024;
const blockSize = 4096;

async function smallChange(_: BenchContext, ground: Ground): Promise<Pair> {
  const make = (version: string, age: number, files: Readonly<Record<string, TreeFile>>) =>
    deriveTree(ground, { version, timestamp: ground.timestamp + age, files });
  const data = "usr/share/bench/data";
  const setting = "usr/etc/bench.conf";
  const from = await make(`${ground.version}.1`, 1, {
    [data]: { content: hexData(() => "old") },
    [setting]: { content: "first = 1\n" },
  });
  const to = await make(`${ground.version}.2`, 2, {
    [data]: { content: hexData((block) => (block % 20 === 7 ? "new" : "old")) },
    [setting]: { content: "first = 1\nsecond = 2\n" },
  });
  const what =
    "A file of 10 MiB (hexadecimal digits, so half of it is redundant) of which every twentieth block of 4 KiB is new, and one line more in /etc.";
  return { kind: "A small change", what, from: from.checksum, to: to.checksum };
}

/** Hexadecimal digits that depend on nothing but their block's number and edition. */
function hexData(edition: (block: number) => string): string {
  const perBlock = blockSize / 64;
  return Array.from({ length: dataSize / 64 }, (_, index) => {
    const block = Math.floor(index / perBlock);
    return createHash("sha256")
      .update(`${edition(block)} ${index}`)
      .digest("hex");
  }).join("");
}

/** podman of Debian 14 in the making, exactly: so that the figure can be had again. */
const newerPodman: LockedPackage = {
  name: "podman",
  version: "5.8.6+ds1-3",
  arch: "amd64",
  source: "podman",
  sourceVersion: "5.8.6+ds1-3",
  archive: "main",
  path: "pool/main/p/podman/podman_5.8.6+ds1-3_amd64.deb",
  size: 25404488,
  sha256: "45258cc511e603ab5414dffaaa0be729fdf6fdba816eccdd1074bdc74421f9c0",
};

async function bigPackage(context: BenchContext, ground: Ground): Promise<Pair> {
  const { toolbox, cache, progress, signal, scratch } = context;
  const treefile = await readTreefile(join(projectRoot, "os", "atoll.yaml"));
  const lock = await readLock((await context.composed()).lock.file);
  const before = lock?.packages.find(({ name }) => name === newerPodman.name);
  if (!lock || !before) throw new Error("our tree has no podman");
  await fetchDebs({ ...lock, packages: [newerPodman] }, treefile, { cache, progress, signal });
  const folder = join(scratch, "podman");
  await toolbox.run(["dpkg-deb", "--extract", debPath(cache, newerPodman), folder], {
    step: "unpacking podman",
    signal,
  });
  const to = await deriveTree(ground, {
    version: `${ground.version}.3`,
    timestamp: ground.timestamp + 3,
    files: await readFolder(folder),
  });
  const what = `podman ${before.version} becomes ${newerPodman.version}: one Go program, built anew.`;
  return { kind: "One big package", what, from: ground.base, to: to.checksum };
}

/** Null where Debian's last point release holds the same packages as our lock: then there is no update to measure. */
async function securityUpdate(context: BenchContext, ground: Ground): Promise<Pair | null> {
  const { toolbox, cache, state, progress, signal, scratch } = context;
  const folder = join(scratch, "release");
  const ours = join(folder, "cache");
  await mkdir(ours, { recursive: true });
  await mkdir(join(cache, "debs"), { recursive: true });
  await symlink(join(cache, "debs"), join(ours, "debs"));
  const treefile = join(folder, "release.yaml");
  const included = JSON.stringify(join(projectRoot, "os", "atoll.yaml"));
  await writeFile(treefile, `include: [${included}]\nstream: release\nsecurity-mirrors: []\n`);
  const newer = await readLock((await context.composed()).lock.file);
  // With our lock before it, the new one keeps the ids of users and groups.
  await copyFile(join(projectRoot, "os", "atoll.lock"), join(folder, "release.lock"));
  const composed = await composeTree({
    ...{ treefile, toolbox, cache: ours, state, progress, signal, updateLock: true },
  });
  const older = await readLock(composed.lock.file);
  const changed = newer?.packages.filter(
    ({ name, version }) => older?.packages.find((each) => each.name === name)?.version !== version,
  );
  if (!changed || changed.length === 0) {
    context.progress.step("no package differs from the last point release: the third kind is left out");
    return null;
  }
  const names = [...new Set(changed.map(({ source }) => source.replace(/^linux-signed.*/, "linux")))];
  const what = `The tree of Debian's last point release (without its security archive) becomes ours: ${changed.length} of ${newer?.packages.length} packages are others, built from ${names.join(", ")}.`;
  return { kind: "A whole security update", what, from: composed.checksum, to: ground.base };
}

type Ways = Pick<Update, "pull" | "delta" | "patch">;

/** How often each way is taken; the middle one counts. */
const turns = 3;

async function measurePair(context: BenchContext, ground: Ground, pair: Pair): Promise<Ways> {
  return withOrigin(context, async ({ folder, served, origin, address }) => {
    const delta = await makeOrigin(context, ground, pair, join(served, "repo"));
    const client = await makeClient(context, ground, pair, folder, `${address}/repo`);
    const pulled = async (option: string): Promise<Traffic> =>
      middle(await repeat(turns, () => client.pull(origin, option)));
    const pull = { ...(await pulled("--disable-static-deltas")), made: 0 };
    const before = await packTree(context, ground, pair.from, folder);
    const after = await packTree(context, ground, pair.to, folder);
    const by = [`--patch-from=${before}`, "--long=31"];
    const made = await compress(context, after, join(served, "patch.zst"), by);
    const unpacked = await repeat(turns, () =>
      origin.metered(() => unpack(context, `${address}/patch.zst`, folder, by)),
    );
    return {
      pull,
      delta: { ...(await pulled("--require-static-deltas")), made: delta },
      patch: { ...middle(unpacked), made },
    };
  });
}

async function measureImage(context: BenchContext, ground: Ground): Promise<Way> {
  return withOrigin(context, async ({ folder, served, origin, address }) => {
    const tar = await packTree(context, ground, ground.base, folder);
    const made = await compress(context, tar, join(served, "image.zst"), []);
    const unpacked = await repeat(turns, () =>
      origin.metered(() => unpack(context, `${address}/image.zst`, folder, [])),
    );
    return { ...middle(unpacked), made };
  });
}

interface Place {
  /** Scratch, removed at the end. */
  readonly folder: string;
  /** What the origin serves, at `address`. */
  readonly served: string;
  readonly origin: Origin;
  readonly address: string;
}

async function withOrigin<T>(context: BenchContext, work: (place: Place) => Promise<T>): Promise<T> {
  const folder = join(context.scratch, "update");
  const served = join(folder, "served");
  await mkdir(served, { recursive: true });
  const origin = await openOrigin(served);
  try {
    return await work({ folder, served, origin, address: `http://127.0.0.1:${origin.port}/files` });
  } finally {
    await origin.close();
    await context.toolbox.run(["rm", "-rf", folder], { step: "tidying up" });
  }
}

function middle(runs: readonly Traffic[]): Traffic {
  const of = (key: keyof Traffic): number => median(runs.map((run) => run[key]));
  return { bytes: of("bytes"), requests: of("requests"), seconds: of("seconds") };
}

/** A repository that offers the newer tree as ours are offered; gives the seconds that the delta took. */
async function makeOrigin(
  { toolbox, cache, signal }: BenchContext,
  ground: Ground,
  { from, to }: Pair,
  path: string,
): Promise<number> {
  const step = "making an origin";
  const repository = await openRepository(path, ground.key, {
    ...{ toolbox, trees: treesPath(cache), signal },
  });
  const repo = `--repo=${path}`;
  await toolbox.run(["ostree", "pull-local", repo, ground.path, from, to], { step, signal });
  const { seconds: made } = await timed(() => repository.delta(from, to));
  await repository.publish(ground.ref, to);
  return made;
}

/** A commit as a tar file that depends on nothing but its content: names in order, no times, no owners. */
async function packTree(
  context: BenchContext,
  ground: Ground,
  commit: string,
  folder: string,
): Promise<string> {
  const { toolbox, signal } = context;
  const tree = join(folder, commit);
  await checkOut(context, ground.path, commit, tree);
  const fixed = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  const argv = ["tar", "--directory", tree, ...fixed, "-cf", `${tree}.tar`, "."] as const;
  await toolbox.run(argv, { step: "packing a tree", signal });
  await toolbox.run(["rm", "-rf", tree], { step: "tidying up" });
  return `${tree}.tar`;
}

/** Compresses with `zstd -19` and more `options`; gives the seconds that it took. */
async function compress(
  { toolbox, progress, signal }: BenchContext,
  input: string,
  output: string,
  options: readonly string[],
): Promise<number> {
  const step = `making ${basename(output)}`;
  progress.step(step);
  const argv = ["zstd", "--quiet", "-19", "-T0", ...options, input, "-o", output] as const;
  return (await timed(() => toolbox.run(argv, { step, signal }))).seconds;
}

/** A host's repository, which holds the older tree and nothing else before every pull. */
async function makeClient(
  { toolbox, signal }: BenchContext,
  ground: Ground,
  { from }: Pair,
  folder: string,
  url: string,
): Promise<{ pull(origin: Origin, option: string): Promise<Traffic> }> {
  const path = join(folder, "host");
  const repo = `--repo=${path}`;
  const ostree = async (step: string, ...words: string[]): Promise<void> =>
    void (await toolbox.run(["ostree", ...words], { step, signal }));
  const step = "making a host's repository";
  await ostree(step, "init", repo, "--mode=bare");
  await ostree(step, "pull-local", repo, "--disable-fsync", ground.path, from);
  await ostree(step, "refs", repo, "--create=before", from);
  await ostree(
    step,
    "remote",
    "add",
    repo,
    "--set=gpg-verify=true",
    `--set=gpgkeypath=${ground.key.publicKey}`,
    "atoll",
    url,
  );
  return {
    pull: async (origin, option) => {
      const traffic = await origin.metered(() =>
        ostree("pulling", "pull", repo, option, "atoll", ground.ref),
      );
      await ostree("going back", "refs", repo, "--delete", `atoll:${ground.ref}`);
      await ostree("going back", "prune", repo, "--refs-only");
      // What it learnt of the summary would spare the next pull a request.
      await toolbox.run(["rm", "-rf", join(path, "tmp", "cache")], { step: "going back", signal });
      return traffic;
    },
  };
}

/** Fetches a file and unpacks it with zstd, to the disk. */
async function unpack(
  { toolbox, signal }: BenchContext,
  url: string,
  folder: string,
  options: readonly string[],
): Promise<void> {
  const packed = join(folder, "fetched.zst");
  const response = await fetch(url, { signal });
  if (!response.ok || !response.body) throw new Error(`${url}: HTTP status ${response.status}`);
  await pipeline(Readable.fromWeb(response.body), createWriteStream(packed));
  const script = 'out=$1; shift; zstd --quiet --force --decompress "$@" -o "$out" && sync "$out"';
  const unpacked = join(folder, "unpacked");
  await toolbox.run(["sh", "-euc", script, "sh", unpacked, ...options, packed], {
    step: "unpacking",
    signal,
  });
  const { size } = await stat(unpacked);
  if (size === 0) throw new Error(`${url} unpacks to nothing`);
}
