import { createHash, type Hash } from "node:crypto";
import { lstat, readdir, readFile, readlink, realpath } from "node:fs/promises";
import { join } from "node:path";
import { projectRoot } from "../paths.ts";
import { type Lock, lockHash } from "./lock.ts";
import type { Treefile } from "./treefile.ts";
import type { PinnedIds } from "./users.ts";

const composer = join(projectRoot, "src/compose");

/** The composer's own sources, all but their tests: when one changes, so may every tree and every disk image. */
export async function recipeSources(): Promise<string[]> {
  const names = await readdir(composer);
  return names.filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts")).toSorted();
}

/**
 * Names how trees and disk images are made: the composer's sources, Node.js, whose zstd packs the initramfs, and the
 * toolbox `id`, whose programs do the rest and whose boot loaders disks start by.
 */
export async function recipeHash(id: string): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([process.version, id]));
  await hashPath(hash, join(projectRoot, "os/initramfs"));
  for (const name of await recipeSources()) await hashPath(hash, join(composer, name));
  return hash.digest("hex");
}

/**
 * Names all that a tree is made from, but for its version: the lock, what the treefile says, the content of the files it
 * lays over, the ids it pins, the key that it will trust, the composer itself and its toolbox. Equal inputs make an equal tree.
 */
export async function hashInputs(
  treefile: Treefile,
  lock: Lock,
  ids: PinnedIds,
  publicKey: Uint8Array,
  toolboxId: string,
): Promise<string> {
  const hash = createHash("sha256");
  const { stream, units, defaultTarget, kernelArguments, initramfsModules, remove, osRelease } = treefile;
  const said = { stream, units, defaultTarget, kernelArguments, initramfsModules, remove, osRelease };
  hash.update(JSON.stringify([lockHash(lock), ids, said]));
  hash.update(publicKey);
  for (const rule of treefile.files) {
    hash.update(JSON.stringify([rule.to, rule.mode, rule.strip]));
    // A rule that names a link lays what the link leads to.
    await hashPath(hash, await realpath(rule.from));
  }
  hash.update(await recipeHash(toolboxId));
  return hash.digest("hex");
}

/** Adds a file, a link, or a folder with all it holds: names, content, and whether a file is executable. */
export async function hashPath(hash: Hash, path: string): Promise<void> {
  const found = await lstat(path);
  if (found.isDirectory()) {
    for (const name of (await readdir(path)).toSorted()) {
      hash.update(JSON.stringify(["in", name]));
      await hashPath(hash, join(path, name));
    }
    hash.update(JSON.stringify("out"));
  } else if (found.isSymbolicLink()) {
    hash.update(JSON.stringify(["link", await readlink(path)]));
  } else {
    hash.update(JSON.stringify(["file", found.size, (found.mode & 0o100) !== 0]));
    hash.update(await readFile(path));
  }
}
