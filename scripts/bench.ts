import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BenchContext } from "../bench/harness.ts";
import { benches, writePage, writeResult } from "../bench/page.ts";
import { usingCache } from "../src/compose/cache-use.ts";
import { type ComposeResult, composeTree } from "../src/compose/compose.ts";
import { openToolbox, type Toolbox } from "../src/compose/toolbox.ts";
import { asAtollError, exitCodes } from "../src/errors.ts";
import { cacheDirectory, projectRoot } from "../src/paths.ts";
import type { Progress } from "../src/progress.ts";
import { buildAll } from "./build.ts";

/**
 * Measures: every bench, or those in `names`. Writes bench/results/NAME.json for each, brings docs/benchmarks.md up to
 * date, and leaves nothing else behind but what the cache keeps. A bench that fails keeps its older result, and the
 * others go on. Gives the exit code of the process. Errors: those of making the toolbox.
 */
export async function runBench(names: readonly string[], signal: AbortSignal): Promise<number> {
  const unknown = names.filter((name) => !benches.some((bench) => bench.name === name));
  if (unknown.length > 0) {
    const known = benches.map(({ name }) => name).join(", ");
    console.error(`bench: no bench "${unknown.join('", "')}"; there are ${known}`);
    return exitCodes.usage;
  }
  await buildAll();
  const wanted = benches.filter(({ name }) => names.length === 0 || names.includes(name));
  let failed = 0;
  await inScratch(signal, async (context) => {
    for (const bench of wanted) {
      const started = performance.now();
      context.progress.step(`measuring ${bench.name}`);
      try {
        await writeResult(bench, await bench.run(context));
        console.log(`ok      ${bench.name} (${shown(started)})`);
      } catch (error) {
        if (signal.aborted) return;
        failed += 1;
        console.log(`FAILED  ${bench.name} (${shown(started)}): ${asAtollError(error).message}`);
        if (error instanceof Error && error.stack) console.log(error.stack.replace(/^/gm, "        "));
      }
    }
  });
  await writePage();
  if (signal.aborted) {
    console.error("bench: interrupted; what it made is removed, results that were complete are kept");
    return exitCodes.interrupted;
  }
  console.log("the tables are in docs/benchmarks.md, the figures in bench/results");
  return failed === 0 ? exitCodes.done : exitCodes.failed;
}

type Work = (context: BenchContext) => Promise<void>;

/** The scratch folder is in the cache: whoever prunes that waits. */
async function inScratch(signal: AbortSignal, work: Work): Promise<void> {
  const cache = cacheDirectory();
  await usingCache({ cache, progress: printed, signal }, () => inScratchOf(cache, signal, work));
}

async function inScratchOf(cache: string, signal: AbortSignal, work: Work): Promise<void> {
  const scratch = await mkdtemp(join(cache, "bench-"));
  const state = join(scratch, "state");
  // Whatever asks for the state directory is to find this run's own.
  process.env.ATOLL_STATE = state;
  let toolbox: Toolbox | undefined;
  try {
    toolbox = await openToolbox({ cache, progress: printed, signal });
    const common = { toolbox, cache, state, signal, progress: printed };
    let tree: Promise<ComposeResult> | undefined;
    const composed = (): Promise<ComposeResult> => {
      tree ??= composeTree({
        ...{ ...common, treefile: join(projectRoot, "os", "atoll.yaml"), whenGone: "renew" },
      });
      return tree;
    };
    await work({ ...common, scratch, composed });
  } finally {
    // When not root, what it made belongs to subordinate ids, which only the toolbox can remove; but there the state
    // directory is a mount, which cannot go.
    await toolbox?.run(["find", scratch, "-mindepth", "1", "-delete"], {
      ...{ step: "tidying up", accept: [0, 1] },
    });
    await rm(scratch, { recursive: true });
  }
}

const printed: Progress = {
  step: (step) => console.log(`        ${new Date().toISOString().slice(11, 19)} ${step}`),
  detail: () => {},
};

function shown(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(0)} s`;
}
