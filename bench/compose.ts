import { copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Type from "typebox";
import { type ComposeResult, composeTree } from "../src/compose/compose.ts";
import { buildImage } from "../src/compose/image.ts";
import { projectRoot } from "../src/paths.ts";
import type { Progress } from "../src/progress.ts";
import { type BenchContext, defineBench, median, repeat, secondsSince, timed } from "./harness.ts";
import { seconds, table } from "./table.ts";

const stepsSchema = Type.Array(Type.Object({ step: Type.String(), seconds: Type.Number() }));
const timesSchema = Type.Object({ total: Type.Number(), steps: stepsSchema });
type Times = Type.Static<typeof timesSchema>;

/** How long composing takes: from packages alone, after a change of one file, and when nothing changed. */
export const compose = defineBench({
  name: "compose",
  figures: Type.Object({
    packages: Type.Integer(),
    /** The packages' files are in the cache; nothing is unpacked yet. */
    cold: timesSchema,
    /** One file laid over the packages is another one: new commit, delta from the one before. Middle of three. */
    changed: timesSchema,
    /** Middle of three. */
    unchanged: Type.Number(),
    rawImage: timesSchema,
    qcow2Image: timesSchema,
  }),
  measure: async (context) => {
    // Brings the packages' files, which are no part of what is measured.
    const { lock } = await context.composed();
    const kitchen = await makeKitchen(context);
    const cold = await kitchen.compose("first");
    const changed = await repeat(3, (turn) => kitchen.compose(`change ${turn}`));
    const unchanged = await repeat(3, () => kitchen.compose("change 2"));
    const newest = changed.at(-1)?.result ?? cold.result;
    return {
      packages: lock.packages,
      cold: cold.times,
      changed: middle(changed.map(({ times }) => times)),
      unchanged: median(unchanged.map(({ times }) => times.total)),
      rawImage: await kitchen.image(newest, "raw"),
      qcow2Image: await kitchen.image(newest, "qcow2"),
    };
  },
  render: ({ packages, cold, changed, unchanged, rawImage, qcow2Image }) => {
    const rows: readonly [string, Times][] = [
      [`from ${packages} packages, nothing unpacked yet`, cold],
      ["after a change of one file", changed],
      ["when nothing changed", { total: unchanged, steps: [] }],
      ["disk image, raw", rawImage],
      ["disk image, qcow2 (compressed with zstd)", qcow2Image],
    ];
    return table(
      ["what", "time", "of which"],
      rows.map(([what, { total, steps }]) => [what, seconds(total), longest(steps)]),
    );
  },
});

/** The steps that take more than a twentieth of the whole, as they come. */
function longest(steps: Times["steps"]): string {
  const whole = steps.reduce((sum, step) => sum + step.seconds, 0);
  return steps
    .filter((step) => step.seconds > whole / 20)
    .map((step) => `${step.step} ${seconds(step.seconds)}`)
    .join(", ");
}

function middle(runs: readonly Times[]): Times {
  const found = runs.toSorted((a, b) => a.total - b.total)[Math.floor((runs.length - 1) / 2)];
  if (!found) throw new RangeError("no middle one of no runs");
  return found;
}

interface Kitchen {
  /** Composes our tree with one more file that holds `note`. */
  compose(note: string): Promise<{ result: ComposeResult; times: Times }>;
  image(tree: ComposeResult, format: "raw" | "qcow2"): Promise<Times>;
}

/** A treefile, a state and a cache of their own. Of the user's cache, only the packages' files are in it. */
async function makeKitchen({ toolbox, cache, scratch, signal }: BenchContext): Promise<Kitchen> {
  const folder = join(scratch, "compose");
  const ours = join(folder, "cache");
  await mkdir(ours, { recursive: true });
  await symlink(join(cache, "debs"), join(ours, "debs"));
  const note = join(folder, "note");
  const treefile = join(folder, "host.yaml");
  const included = JSON.stringify(join(projectRoot, "os", "atoll.yaml"));
  await writeFile(treefile, `include: [${included}]\nfiles:\n  - { from: note, to: /etc/note }\n`);
  await copyFile(join(projectRoot, "os", "atoll.lock"), join(folder, "host.lock"));
  return {
    compose: async (text) => {
      await writeFile(note, `${text}\n`);
      const steps = new StepTimes();
      const { value } = await timed(() =>
        composeTree({ treefile, toolbox, cache: ours, state: folder, progress: steps, signal }),
      );
      return { result: value, times: steps.end() };
    },
    image: async ({ repository, ref, kernelArguments }, format) => {
      const steps = new StepTimes();
      await buildImage({
        ...{ repo: repository, ref, output: join(folder, `disk.${format}`), format, kernelArguments },
        ...{ remoteUrl: "http://127.0.0.1:1", toolbox, progress: steps, signal },
      });
      return steps.end();
    },
  };
}

/** Takes the time of each step that long work tells of. */
class StepTimes implements Progress {
  readonly #started = performance.now();
  readonly #steps: { readonly step: string; readonly at: number }[] = [];

  step(step: string): void {
    this.#steps.push({ step, at: performance.now() });
  }

  detail(): void {}

  /** The work is done: the times of its steps, those of the same name added up. */
  end(): Times {
    const total = secondsSince(this.#started);
    const ends = [...this.#steps.slice(1).map(({ at }) => at), performance.now()];
    const sums = new Map<string, number>();
    for (const [index, { step, at }] of this.#steps.entries()) {
      const taken = ((ends[index] ?? at) - at) / 1000;
      sums.set(step, (sums.get(step) ?? 0) + taken);
    }
    const steps = [...sums].map(([step, taken]) => ({ step, seconds: Math.round(taken * 1000) / 1000 }));
    return { total, steps };
  }
}
