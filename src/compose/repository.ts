import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { hasCode } from "../errors.ts";
import { exists } from "../paths.ts";
import { detachedMetadata, type ObjectSize, withMetadata } from "./commit-bytes.ts";
import { closeAgent, type SigningKey } from "./signing.ts";
import type { Toolbox } from "./toolbox.ts";

/** One release in a repository, as its commit tells. */
export interface Release {
  readonly checksum: string;
  readonly version: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

interface RepositoryOptions {
  readonly toolbox: Toolbox;
  /** The cache's repository of trees, where unchanged files need no second reading; see base.ts. */
  readonly trees: string;
  readonly signal?: AbortSignal;
}

export interface CommitInput {
  readonly tree: string;
  readonly ref: string;
  readonly parent: string | null;
  readonly subject: string;
  readonly timestamp: number;
  /** Commit metadata: part of what is signed and of the checksum. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Kept beside the commit: neither signed nor in the checksum. */
  readonly detached: Readonly<Record<string, string>>;
}

/** An OSTree repository of the kind that machines pull from (mode archive), with its signing key. */
export interface Repository {
  readonly path: string;
  /** Commits a tree, signed; gives its checksum. Nobody sees it before `publish`. */
  commit(input: CommitInput): Promise<string>;
  /** Makes the delta between two commits, unless it is there. */
  delta(from: string, to: string): Promise<void>;
  /**
   * Makes a commit the newest of a ref, drops deltas that lead to no ref's newest commit, writes and signs the summary,
   * which is what machines read first.
   */
  publish(ref: string, commit: string): Promise<void>;
  /** True when the summary was signed after the ref got its newest commit. */
  isPublished(ref: string): Promise<boolean>;
}

/** Nobody is led to a release that is not the newest: a machine that asks for such a one by name pulls its files. */
async function dropOldDeltas(
  path: string,
  ostree: (step: string, ...words: string[]) => Promise<string>,
): Promise<void> {
  const step = "dropping old deltas";
  const repo = `--repo=${path}`;
  const refs = (await ostree(step, "refs", repo, "--list")).split("\n").filter((ref) => ref !== "");
  const newest = new Set(await Promise.all(refs.map((ref) => ostree(step, "rev-parse", repo, ref))));
  for (const delta of (await ostree(step, "static-delta", "list", repo)).split("\n")) {
    const to = /^[0-9a-f]{64}-([0-9a-f]{64})$/.exec(delta)?.[1];
    if (to !== undefined && !newest.has(to)) await ostree(step, "static-delta", "delete", repo, delta);
  }
}

interface ReadOptions {
  readonly toolbox: Toolbox;
  readonly signal?: AbortSignal;
}

/** Refs of the repository at `path`. Errors: COMMAND_FAILED, INTERRUPTED. */
export async function readRefs(path: string, options: ReadOptions): Promise<string[]> {
  const refs = await readOstree(path, ["refs", "--list"], options);
  return refs.split("\n").filter((ref) => ref !== "");
}

/** Releases of `ref`, the newest first; none when it does not exist. Errors: COMMAND_FAILED, INTERRUPTED. */
export async function readReleases(path: string, ref: string, options: ReadOptions): Promise<Release[]> {
  const refs = await readRefs(path, options);
  return refs.includes(ref) ? parseLog(await readOstree(path, ["log", ref], options)) : [];
}

/** A text of a commit's metadata, or null when it has none of that name. Errors: INTERRUPTED. */
export async function readMetadata(
  path: string,
  commit: string,
  name: string,
  options: ReadOptions,
): Promise<string | null> {
  try {
    return parseGvariantString(
      await readOstree(path, ["show", `--print-metadata-key=${name}`, commit], options),
    );
  } catch (error) {
    if (hasCode(error, "COMMAND_FAILED")) return null;
    throw error;
  }
}

async function readOstree(
  path: string,
  [verb, ...words]: [string, ...string[]],
  { toolbox, signal }: ReadOptions,
): Promise<string> {
  const { stdout } = await toolbox.run(["ostree", verb, `--repo=${path}`, ...words], {
    step: "reading the repository",
    binds: [path],
    ...(signal && { signal }),
  });
  return stdout.trim();
}

/** Opens the repository in folder `path`, made when absent. Errors: COMMAND_FAILED, INTERRUPTED. */
export async function openRepository(
  path: string,
  key: SigningKey,
  { toolbox, trees, signal }: RepositoryOptions,
): Promise<Repository> {
  const ostree = async (step: string, ...words: string[]): Promise<string> => {
    const result = await toolbox.run(["ostree", ...words], {
      step,
      binds: [path],
      ...(signal && { signal }),
    });
    return result.stdout.trim();
  };
  const signed = [`--gpg-sign=${key.id}`, `--gpg-homedir=${key.home}`];
  const repo = `--repo=${path}`;
  await mkdir(path, { recursive: true });
  if (!(await exists(join(path, "config"))))
    await ostree("making the repository", "init", repo, "--mode=archive");
  return {
    path,
    commit: async (input) => {
      // A ref keeps the tree from whoever prunes the cache meanwhile.
      const held = `tree/${basename(input.tree)}`;
      const content = await ostree(
        "committing the tree",
        ...[
          "commit",
          `--repo=${trees}`,
          `--branch=${held}`,
          "--parent=none",
          "--no-bindings",
          "--timestamp=@0",
        ],
        ...["--link-checkout-speedup", `--tree=dir=${input.tree}`],
      );
      await ostree("compressing what is new", "pull-local", repo, trees, content);
      await ostree("tidying up", "refs", `--repo=${trees}`, "--delete", held);
      const plain = await ostree(
        "committing the tree",
        ...["commit", repo, "--orphan", `--bind-ref=${input.ref}`, `--tree=ref=${content}`, "--bootable"],
        ...[
          `--parent=${input.parent ?? "none"}`,
          `--subject=${input.subject}`,
          `--timestamp=@${input.timestamp}`,
        ],
      );
      const sizes = await objectSizes(path, await ostree("reading sizes", "ls", repo, "-R", "-C", plain));
      const bytes = withMetadata(await readFile(objectPath(path, plain, "commit")), {
        strings: input.metadata,
        sizes,
      });
      const checksum = createHash("sha256").update(bytes).digest("hex");
      await writeObject(objectPath(path, checksum, "commit"), bytes);
      await writeObject(objectPath(path, checksum, "commitmeta"), detachedMetadata(input.detached));
      // Neither was ever published; without a ref they would stay until somebody prunes.
      for (const spent of new Set([content, plain]))
        await rm(objectPath(path, spent, "commit"), { force: true });
      await ostree("signing the commit", "gpg-sign", repo, `--gpg-homedir=${key.home}`, checksum, key.id);
      await closeAgent(key.home, toolbox);
      return checksum;
    },
    delta: async (from, to) => {
      // bsdiff takes minutes for the largest programs and gains little there (a recompiled Go program differs all
      // over); with no fallback all else travels in the delta, compressed better than as files.
      const limits = ["--max-bsdiff-size=16", "--min-fallback-size=0"];
      const ends = [`--from=${from}`, `--to=${to}`];
      await ostree("making deltas", "static-delta", "generate", repo, "--if-not-exists", ...limits, ...ends);
    },
    publish: async (ref, checksum) => {
      await ostree("naming the commit", "refs", repo, `--create=${ref}`, "--force", checksum);
      await dropOldDeltas(path, ostree);
      await ostree("signing the summary", "summary", repo, "--update", ...signed);
      await closeAgent(key.home, toolbox);
    },
    isPublished: async (ref) => {
      const [named, summary] = await Promise.all([
        modified(path, "refs/heads", ref),
        modified(path, "summary.sig"),
      ]);
      return summary >= named;
    },
  };
}

/** Reads `ostree log`: blocks of `commit CHECKSUM`, `Date:`, `Version:`. A commit without a version is no release. */
export function parseLog(text: string): Release[] {
  return text.split(/^commit /m).flatMap((block) => {
    const checksum = /^([0-9a-f]{64})/.exec(block)?.[1];
    const version = /^Version: (.+)$/m.exec(block)?.[1];
    const date = /^Date:\s+(.+)$/m.exec(block)?.[1];
    if (checksum === undefined || version === undefined || date === undefined) return [];
    return [{ checksum, version, timestamp: Math.floor(Date.parse(date) / 1000) }];
  });
}

/** A string in GVariant's text format: in single quotes, or in double ones when it holds a single quote. */
export function parseGvariantString(text: string): string {
  const quote = text[0];
  if ((quote !== "'" && quote !== '"') || text.at(-1) !== quote) return text;
  const escapes: Record<string, string> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", a: "\x07" };
  return text
    .slice(1, -1)
    .replace(/\\(u[0-9a-f]{4}|U[0-9a-f]{8}|.)/gs, (_, word: string) =>
      /^[uU][0-9a-f]+$/.test(word)
        ? String.fromCodePoint(Number.parseInt(word.slice(1), 16))
        : (escapes[word] ?? word),
    );
}

function objectPath(repo: string, checksum: string, suffix: string): string {
  return join(repo, "objects", checksum.slice(0, 2), `${checksum.slice(2)}.${suffix}`);
}

/** When a file was last written, in milliseconds since 1970; 0 when it is not there. */
async function modified(...path: [string, ...string[]]): Promise<number> {
  return stat(join(...path)).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}

async function writeObject(path: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, bytes);
  await rename(`${path}.new`, path);
}

/**
 * The sizes of all objects that `ostree ls -R -C` lists: lines of type and mode, owner, group, bytes, checksums (a
 * folder's are those of its names and of its owner and mode), path.
 */
async function objectSizes(repo: string, listing: string): Promise<ObjectSize[]> {
  const objects = new Map<string, Omit<ObjectSize, "archived">>();
  for (const line of listing.split("\n")) {
    const match = /^(.)\d+ +\d+ +\d+ +(\d+) +\{? ?([0-9a-f]{64})(?: +([0-9a-f]{64}))?/.exec(line);
    const [, type, size, checksum, meta] = match ?? [];
    if (checksum === undefined) continue;
    if (type !== "d") objects.set(checksum, { checksum, unpacked: Number(size), kind: "file" });
    else objects.set(checksum, { checksum, unpacked: 0, kind: "dirtree" });
    if (meta !== undefined) objects.set(meta, { checksum: meta, unpacked: 0, kind: "dirmeta" });
  }
  const suffixes = { file: "filez", dirtree: "dirtree", dirmeta: "dirmeta" };
  return Promise.all(
    [...objects.values()].map(async (object) => {
      const { size } = await stat(objectPath(repo, object.checksum, suffixes[object.kind]));
      return { ...object, archived: size, unpacked: object.kind === "file" ? object.unpacked : size };
    }),
  );
}
