import { readFile } from "node:fs/promises";
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

/** What a commit says of itself: signed with it, and readable without its files. */
export async function commitMetadata(
  treefile: Treefile,
  lock: Lock,
  inputs: string,
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
    "atoll.inputs": inputs,
    "atoll.source": JSON.stringify({ ...(await gitSource(treefile.path)), lock: lockHash(lock) }),
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

/** Where the treefile is from: its path in its git repository and the commit checked out, or its bare name. */
async function gitSource(treefile: string): Promise<{ treefile: string; git: string | null }> {
  const argv = ["git", "-C", dirname(treefile), "rev-parse", "--show-toplevel", "HEAD"] as const;
  return run(argv, { step: "reading the git commit" }).then(
    ({ stdout }) => {
      const [top = "", commit = null] = stdout.trim().split("\n");
      return { treefile: relative(top, treefile), git: commit };
    },
    () => ({ treefile: basename(treefile), git: null }),
  );
}
