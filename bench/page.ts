import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError } from "../src/errors.ts";
import { projectRoot } from "../src/paths.ts";
import { boot } from "./boot.ts";
import { command } from "./command.ts";
import { compose } from "./compose.ts";
import type { Bench } from "./harness.ts";
import { recovery } from "./recovery.ts";
import { scheduling } from "./schedule.ts";
import { sizes } from "./sizes.ts";
import { updates } from "./updates.ts";

/** All benches, in the order in which they run and are shown. */
export const benches: readonly Bench[] = [compose, sizes, updates, boot, recovery, command, scheduling];

/** The page that shows all figures: words by hand, and between marks the tables. */
export const pagePath: string = join(projectRoot, "docs", "benchmarks.md");

/** Where the figures of a bench are kept. */
export function resultPath(bench: Bench): string {
  return join(projectRoot, "bench", "results", `${bench.name}.json`);
}

/** `page` with the part of every bench in `parts` made anew. Throws when the page has no place for one. */
export function fillPage(page: string, parts: ReadonlyMap<string, string>): string {
  let filled = page;
  for (const [name, part] of parts) {
    const [begin, end] = [`<!-- bench ${name} -->`, `<!-- end of bench ${name} -->`];
    const [from, to] = [filled.indexOf(begin), filled.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`docs/benchmarks.md has no "${begin}" before "${end}"`);
    filled = `${filled.slice(0, from)}${begin}\n\n${part}\n\n${filled.slice(to)}`;
  }
  return filled;
}

/** The page as it must be for the results as they are. */
export async function currentPage(): Promise<string> {
  const parts = new Map<string, string>();
  for (const bench of benches) parts.set(bench.name, await renderResult(bench));
  return fillPage(await readFile(pagePath, "utf8"), parts);
}

async function renderResult(bench: Bench): Promise<string> {
  try {
    return bench.render(await readFile(resultPath(bench), "utf8"));
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return `Not measured yet: \`npm run bench -- ${bench.name}\`.`;
    throw error;
  }
}

/** Keeps a bench's result. */
export async function writeResult(bench: Bench, text: string): Promise<void> {
  await writeWhole(resultPath(bench), text);
}

/** Brings docs/benchmarks.md up to date. */
export async function writePage(): Promise<void> {
  await writeWhole(pagePath, await currentPage());
}

async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}
