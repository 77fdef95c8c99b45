import { copyFile, link, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Progress } from "../progress.ts";
import { debPath, dropDamagedDebs, fetchDebs } from "./debs.ts";
import type { Lock, Mirrors } from "./lock.ts";
import type { Toolbox } from "./toolbox.ts";

interface RepositoryOptions {
  readonly toolbox: Toolbox;
  readonly cache: string;
  /** Where a file comes from anew that was damaged in the cache. */
  readonly mirrors: Mirrors;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/**
 * Makes a flat apt repository of a lock's files, out of the cache, in `folder`, which must not exist. It needs no
 * signature: every file is checked by its hash here, and fetched anew where the cache has it damaged.
 * Errors: those of fetchDebs, COMMAND_FAILED.
 */
export async function makeDebRepository(
  folder: string,
  lock: Lock,
  options: RepositoryOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  if ((await dropDamagedDebs(lock, options.cache)).length > 0)
    await fetchDebs(lock, options.mirrors, options);
  for (const locked of lock.packages) {
    const from = debPath(options.cache, locked);
    const to = join(folder, `${locked.name}_${locked.version.replace(":", "%3a")}_${locked.arch}.deb`);
    await link(from, to).catch(() => copyFile(from, to));
  }
  const indexed = (argv: [string, ...string[]]) =>
    options.toolbox.run(argv, {
      step: "indexing packages",
      cwd: folder,
      ...(options.signal && { signal: options.signal }),
    });
  const packages = await indexed(["apt-ftparchive", "packages", "."]);
  await writeFile(join(folder, "Packages"), packages.stdout);
  // mmdebstrap looks for essential packages in the suite by its name only.
  const name = (field: string) => ["-o", `APT::FTPArchive::Release::${field}=${lock.suite}`];
  const release = await indexed(["apt-ftparchive", ...name("Suite"), ...name("Codename"), "release", "."]);
  await writeFile(join(folder, "Release"), release.stdout);
}
