import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Toolbox } from "./toolbox.ts";

/** The folder in which buildImage makes a disk, beside where the disk goes. */
export const imageScratch = /^\.atoll-image-\w{6}$/;

/** What killed runs leave in the cache, by folder; what ends in order removes its own. */
const leftovers: readonly (readonly [folder: string, names: RegExp])[] = [
  [".", /^(?:tree-[0-9a-f]{16}-\d+|base-[0-9a-f]{16}|(?:bench|changelog|test|test-reproducible)-\w{6})$/],
  ["debs", /\.part$/],
  ["initramfs", /^\.initramfs-\w{6}$|\.img\.\d+(?:\.new)?$/],
  ["images", imageScratch],
];

const weekMs = 7 * 86_400_000;

/** Removes from the cache what killed runs left there a week ago or more: nothing that runs takes so long. */
export async function sweepCache(cache: string, toolbox: Toolbox): Promise<void> {
  for (const [folder, names] of leftovers) await sweep(join(cache, folder), names, toolbox);
}

/** Removes entries of `folder` with such names in which nothing was made or removed for a week. */
export async function sweep(
  folder: string,
  names: RegExp,
  toolbox: Toolbox,
  now: Date = new Date(),
): Promise<void> {
  const found = (await readdir(folder).catch(() => [])).filter((name) => names.test(name));
  const spent: string[] = [];
  for (const name of found) {
    // The time of change: a tree's own folders are from 1970 by their time of writing.
    const changed = await stat(join(folder, name)).then(
      ({ ctimeMs }) => ctimeMs,
      () => Number.POSITIVE_INFINITY,
    );
    if (now.getTime() - changed > weekMs) spent.push(join(folder, name));
  }
  if (spent.length === 0) return;
  // Rootless, they belong to subordinate ids, which only the toolbox can remove.
  await toolbox.run(["rm", "-rf", "--", ...spent], {
    step: "removing what a killed run left",
    binds: [folder],
  });
}
