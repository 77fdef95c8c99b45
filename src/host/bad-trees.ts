/** What fell back: which changes it speaks against, and what proves it wrong. Pure. */
import { argumentsHash } from "./boot-id.ts";
import type { BadTree } from "./model.ts";
import type { InstalledDeployment } from "./sysroot.ts";

/**
 * What is to blame that `failed` fell back to `good`. A new tree with the very arguments that were good is bad with any
 * others, too. Where the arguments were new, or both, no more is known than that the two do not go together.
 */
export function blameFor(failed: InstalledDeployment, good: InstalledDeployment | null): BadTree["blame"] {
  const before = good?.kernelArguments ?? null;
  if (good === null || before === null || failed.kernelArguments === null) return "pair";
  const sameArguments = argumentsHash(before) === argumentsHash(failed.kernelArguments);
  return sameArguments && good.checksum !== failed.checksum ? "tree" : "pair";
}

/** The entry for a tree with exactly these arguments. */
export function findBadPair(
  bad: readonly BadTree[],
  checksum: string,
  kernelArguments: readonly string[],
): BadTree | undefined {
  const hash = argumentsHash(kernelArguments);
  return bad.find((tree) => tree.checksum === checksum && argumentsHash(tree.kernelArguments) === hash);
}

/** The entry that speaks against a tree with these arguments. */
export function findBad(
  bad: readonly BadTree[],
  checksum: string,
  kernelArguments: readonly string[],
): BadTree | undefined {
  const blamed = bad.find((tree) => tree.checksum === checksum && tree.blame === "tree");
  return findBadPair(bad, checksum, kernelArguments) ?? blamed;
}

/** `bad` after `checksum` came up well as `bootId`: that pair is good, and its tree is to blame for no other. */
export function acquitted(
  bad: readonly BadTree[],
  bootId: string | null,
  checksum: string | null,
): BadTree[] {
  return bad
    .filter((tree) => tree.bootId !== bootId)
    .map((tree) => (tree.checksum === checksum ? { ...tree, blame: "pair" } : tree));
}
