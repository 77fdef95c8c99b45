import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withExclusive } from "../exclusive.ts";
import { projectRoot } from "../paths.ts";
import type { Progress } from "../progress.ts";
import { makeDebRepository } from "./deb-repository.ts";
import { type Lock, lockHash, type Mirrors } from "./lock.ts";
import type { Toolbox } from "./toolbox.ts";
import type { PinnedIds } from "./users.ts";
import { formatEntries } from "./users.ts";

interface BaseOptions {
  readonly toolbox: Toolbox;
  readonly cache: string;
  /** Where a package's file comes from anew that was damaged in the cache. */
  readonly mirrors: Mirrors;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** Never unpacked from any package. Licences stay: what is given away must carry them. */
const leftOut: readonly string[] = [
  "path-exclude=/usr/share/doc/*",
  "path-include=/usr/share/doc/*/copyright",
  "path-exclude=/usr/share/locale/*",
  "path-include=/usr/share/locale/locale.alias",
  "path-exclude=/usr/share/man/*",
  "path-exclude=/usr/share/info/*",
  "path-exclude=/usr/share/lintian/*",
  "path-exclude=/usr/share/bug/*",
  "path-exclude=/usr/share/bash-completion/*",
  "path-exclude=/usr/share/zsh/*",
  "path-exclude=/usr/share/fish/*",
];

/** The cache's repository of trees: what one tree shares with another is there once, and needs reading once. */
export function treesPath(cache: string): string {
  return join(cache, "trees");
}

/**
 * Gives the ref, in the cache's repository of trees, of a root with exactly the lock's packages installed and configured,
 * made by mmdebstrap without the network from the cached files when it is not there yet.
 * Errors: PACKAGES_GONE and PACKAGES_UNFETCHED (a damaged file cannot be had anew), COMMAND_FAILED, INTERRUPTED.
 */
export async function openBase(lock: Lock, ids: PinnedIds, options: BaseOptions): Promise<string> {
  const { toolbox, cache, progress, signal } = options;
  const hash = createHash("sha256").update(JSON.stringify([toolbox.id, lockHash(lock), ids]));
  for (const name of ["base", "deb-repository"])
    hash.update(await readFile(join(projectRoot, "src/compose", `${name}.ts`)));
  const key = hash.digest("hex").slice(0, 16);
  const ref = `base/${key}`;
  const waiting = {
    step: "waiting for the base tree",
    onWait: () => progress.detail("another atoll makes it; waiting"),
    ...(signal && { signal }),
  };
  await withExclusive(`${treesPath(cache)}.lock`, waiting, async () => {
    const ostree = (...words: [string, ...string[]]) =>
      toolbox.run(["ostree", ...words, `--repo=${treesPath(cache)}`], {
        step: "keeping the base tree",
        ...(signal && { signal }),
      });
    await mkdir(treesPath(cache), { recursive: true });
    await ostree("init", "--mode=bare");
    const { stdout } = await ostree("refs");
    const now = new Date();
    if (stdout.split("\n").includes(ref)) return utimes(refPath(cache, ref), now, now);
    progress.step("installing packages");
    const work = join(cache, `base-${key}`);
    await toolbox.run(["rm", "-rf", work], { step: "removing what an earlier run left" });
    try {
      await installPackages(work, lock, ids, options);
      progress.step("keeping the base tree");
      await ostree(
        "commit",
        `--branch=${ref}`,
        "--no-bindings",
        "--timestamp=@0",
        `--tree=dir=${join(work, "root")}`,
      );
      for (const old of await spentRefs(cache, now)) await ostree("refs", "--delete", old);
      await ostree("prune", "--refs-only");
    } finally {
      await toolbox.run(["rm", "-rf", work], { step: "tidying up" });
    }
  });
  return ref;
}

/** How many base trees stay in the cache: those used last. */
const keptBases = 4;
const dayMs = 86_400_000;

/** Refs that can go: base trees not used for longest, and trees that an interrupted compose left a day ago or more. */
async function spentRefs(cache: string, now: Date): Promise<string[]> {
  const used = async (kind: "base" | "tree"): Promise<{ ref: string; at: number }[]> => {
    const names = await readdir(refPath(cache, kind)).catch(() => []);
    return Promise.all(
      names.map(async (name) => ({
        ref: `${kind}/${name}`,
        at: (await stat(refPath(cache, `${kind}/${name}`))).mtimeMs,
      })),
    );
  };
  const bases = (await used("base")).toSorted((a, b) => b.at - a.at).slice(keptBases);
  const trees = (await used("tree")).filter(({ at }) => now.getTime() - at > dayMs);
  return [...bases, ...trees].map(({ ref }) => ref);
}

function refPath(cache: string, ref: string): string {
  return join(treesPath(cache), "refs/heads", ref);
}

/** Makes `work`/root by mmdebstrap. */
async function installPackages(
  work: string,
  lock: Lock,
  ids: PinnedIds,
  options: BaseOptions,
): Promise<void> {
  const { toolbox, progress, signal } = options;
  const root = join(work, "root");
  const log = `${work}.log`;
  const lines: string[] = [];
  const inside = (argv: [string, ...string[]], step: string) =>
    toolbox.run(argv, {
      step,
      log,
      onLine: (line) => {
        lines.push(line);
        progress.detail(line.replace(/^I: /, ""));
      },
      ...(signal && { signal }),
    });
  try {
    await makeDebRepository(join(work, "debs"), lock, options);
    await writeFile(join(work, "passwd"), formatEntries(ids.users));
    await writeFile(join(work, "group"), formatEntries(ids.groups));
    const names = lock.packages.map(({ name }) => name).join(",");
    await inside(
      [
        "mmdebstrap",
        "--mode=root",
        "--variant=essential",
        `--include=${names}`,
        '--aptopt=APT::Install-Recommends "false"',
        ...leftOut.map((rule) => `--dpkgopt=${rule}`),
        "--dpkgopt=force-unsafe-io",
        // Packages that add users find those with pinned ids there already, and take them. With nothing pinned, Debian's
        // base-passwd has to make the files itself.
        ...(ids.users.length > 0
          ? [
              `--setup-hook=mkdir -p "$1/etc" && cp ${quoted(join(work, "passwd"))} ${quoted(join(work, "group"))} "$1/etc/"`,
            ]
          : []),
        lock.suite,
        root,
        `deb [trusted=yes] copy:${encodeURI(work)}/debs ./`,
      ],
      "installing packages",
    );
    // Device nodes are not a tree's: every machine makes its own.
    await inside(["find", join(root, "dev"), "-mindepth", "1", "-delete"], "clearing /dev");
  } finally {
    await writeFile(log, `${lines.join("\n")}\n`);
  }
}

/** A word as a shell reads it back: a home folder may have a space in its name. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
