import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Toolbox } from "./toolbox.ts";

/** The folder in which buildImage makes a disk, beside where the disk goes. */
export const imageScratch = /^\.atoll-image-\w{6}$/;

const weekMs = 7 * 86_400_000;

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
