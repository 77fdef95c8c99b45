import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readReleases } from "../src/compose/repository.ts";
import { openSigningKey, type SigningKey } from "../src/compose/signing.ts";
import type { TreeRepository } from "../test/trees.ts";
import type { BenchContext } from "./harness.ts";

/** Our composed tree as the ground from which others are derived. */
export interface Ground extends TreeRepository {
  /** When the composed tree says it is from, in seconds since 1970. */
  readonly timestamp: number;
  readonly version: string;
  readonly key: SigningKey;
}

/** Opens the repository of this run, composing our tree into it first. */
export async function openGround(context: BenchContext): Promise<Ground> {
  const { toolbox, state, signal } = context;
  const { repository: path, ref, checksum, version } = await context.composed();
  const key = await openSigningKey(join(state, "keys"), { toolbox, signal, repository: path });
  const releases = await readReleases(path, ref, { toolbox, signal });
  const release = releases.find((each) => each.checksum === checksum);
  if (!release) throw new Error(`${path} does not have ${checksum} on ${ref}`);
  const signer = { home: key.home, keyId: key.id };
  return { toolbox, path, ref, base: checksum, signer, version, timestamp: release.timestamp, key };
}

/** Writes the files of a commit into `folder`, which must not be there yet; they belong to whoever runs the bench. */
export async function checkOut(
  { toolbox, signal }: BenchContext,
  repository: string,
  commit: string,
  folder: string,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  await toolbox.run(["ostree", "checkout", "--user-mode", `--repo=${repository}`, commit, folder], {
    step: "checking out a tree",
    signal,
  });
}
