import { readFile, realpath } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { projectRoot } from "../paths.ts";
import { run } from "../process.ts";
import { type Lock, lockHash } from "./lock.ts";
import { type OtherPart, spdxDocument } from "./sbom.ts";
import type { Treefile } from "./treefile.ts";

/** What tells one tree from another: its id on the machines that boot it, its version, when it is from (Unix seconds). */
export interface TreeName {
  readonly id: string;
  readonly version: string;
  readonly timestamp: number;
}

/**
 * What a commit says of itself: signed with it, and readable without its files. It is part of the checksum, so it holds
 * nothing that another computer with the same inputs would not say too; that is in `commitSource`.
 */
export async function commitMetadata(
  treefile: Treefile,
  lock: Lock,
  made: { readonly inputs: string; readonly toolbox: string },
  tree: TreeName,
): Promise<Record<string, string>> {
  const packages = lock.packages.map(({ name, version, arch }) => ({ name, version, arch }));
  const sbom = spdxDocument({
    ...{ name: "atoll", version: tree.version, treeId: tree.id, timestamp: tree.timestamp },
    ...{ suite: lock.suite, packages: lock.packages, others: await otherParts(treefile) },
  });
  return {
    version: tree.version,
    "atoll.tree-id": tree.id,
    "atoll.inputs": made.inputs,
    "atoll.toolbox": made.toolbox,
    "atoll.lock": lockHash(lock),
    "atoll.packages": JSON.stringify(packages),
    "atoll.kernel-arguments": treefile.kernelArguments.join(" "),
    "atoll.sbom": sbom,
  };
}

/** The parts of ours that are no Debian packages; a treefile that is not built on os/atoll.yaml has none. */
async function otherParts(treefile: Treefile): Promise<OtherPart[]> {
  if (!treefile.files.some(({ to }) => to === "/usr/lib/atoll/node")) return [];
  const description: unknown = JSON.parse(await readFile(join(projectRoot, "package.json"), "utf8"));
  const version =
    typeof description === "object" && description !== null && "version" in description
      ? String(description.version)
      : "0";
  return [
    { name: "atoll", version, licence: "Apache-2.0" },
    { name: "nodejs", version: process.version.slice(1), licence: "MIT" },
  ];
}

/**
 * Where a commit was made from, kept beside it (detached metadata: neither signed nor in the checksum): the treefile's
 * path in its git repository, the git commit checked out, and whether files there differ from it. Outside git, or
 * where git does not trust the folder's owner, the bare name and null.
 */
export async function commitSource(treefile: Treefile): Promise<Record<string, string>> {
  return { "atoll.source": JSON.stringify(await gitSource(await realpath(treefile.path))) };
}

interface GitSource {
  readonly treefile: string;
  readonly git: string | null;
  readonly changed: boolean;
}

async function gitSource(treefile: string): Promise<GitSource> {
  const git = async (...words: string[]): Promise<string> => {
    const argv = ["git", "--no-optional-locks", "-C", dirname(treefile), ...words] as const;
    return (await run(argv, { step: "reading the git commit" })).stdout.trim();
  };
  try {
    const [top = "", commit = null] = (await git("rev-parse", "--show-toplevel", "HEAD")).split("\n");
    return {
      treefile: relative(top, treefile),
      git: commit,
      changed: (await git("status", "--porcelain")) !== "",
    };
  } catch {
    return { treefile: basename(treefile), git: null, changed: false };
  }
}
