import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "../errors.ts";
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
}

/** An OSTree repository of the kind that machines pull from (mode archive), with its signing key. */
export interface Repository {
  readonly path: string;
  /** Releases of `ref`, the newest first; none when it does not exist. */
  releases(ref: string): Promise<Release[]>;
  /** A text of a commit's metadata, or null. */
  metadata(commit: string, key: string): Promise<string | null>;
  /** Commits a tree, signed; gives its checksum. Nobody sees it before `publish`. */
  commit(input: CommitInput): Promise<string>;
  /** Makes the delta between two commits, unless it is there. */
  delta(from: string, to: string): Promise<void>;
  /** Writes and signs the summary: what machines read first. */
  publish(): Promise<void>;
}

/** Opens the repository in folder `path`, made when absent. Errors: COMMAND_FAILED, INTERRUPTED. */
export async function openRepository(
  path: string,
  key: SigningKey,
  { toolbox, signal }: RepositoryOptions,
): Promise<Repository> {
  const ostree = async (step: string, ...words: string[]): Promise<string> => {
    const result = await toolbox.run(["ostree", ...words], {
      step,
      binds: [path],
      ...(signal && { signal }),
    });
    return result.stdout;
  };
  const signed = [`--gpg-sign=${key.id}`, `--gpg-homedir=${key.home}`];
  const repo = `--repo=${path}`;
  await mkdir(path, { recursive: true });
  if (!(await exists(join(path, "config"))))
    await ostree("making the repository", "init", repo, "--mode=archive");
  return {
    path,
    releases: async (ref) => {
      const refs = await ostree("reading the repository", "refs", repo, "--list");
      if (!refs.split("\n").includes(ref)) return [];
      return parseLog(await ostree("reading the repository", "log", repo, ref));
    },
    metadata: async (commit, name) => {
      try {
        const text = await ostree(
          "reading the repository",
          "show",
          repo,
          `--print-metadata-key=${name}`,
          commit,
        );
        return parseGvariantString(text.trim());
      } catch (error) {
        if (hasCode(error, "COMMAND_FAILED")) return null;
        throw error;
      }
    },
    commit: async (input) => {
      const words = Object.entries(input.metadata).map(
        ([name, value]) => `--add-metadata-string=${name}=${value}`,
      );
      const checksum = await ostree(
        "committing the tree",
        ...[
          "commit",
          repo,
          `--branch=${input.ref}`,
          `--tree=dir=${input.tree}`,
          "--bootable",
          "--generate-sizes",
        ],
        ...[
          `--parent=${input.parent ?? "none"}`,
          `--subject=${input.subject}`,
          `--timestamp=@${input.timestamp}`,
        ],
        ...words,
        ...signed,
      );
      await closeAgent(key.home, toolbox);
      return checksum.trim();
    },
    delta: async (from, to) => {
      await ostree(
        "making deltas",
        "static-delta",
        "generate",
        repo,
        "--if-not-exists",
        `--from=${from}`,
        `--to=${to}`,
      );
    },
    publish: async () => {
      await ostree("signing the summary", "summary", repo, "--update", ...signed);
      await closeAgent(key.home, toolbox);
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

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
