import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { cpus, loadavg, release, totalmem } from "node:os";
import { promisify } from "node:util";
import Type from "typebox";
import { Compile } from "typebox/compile";
import type { ComposeResult } from "../src/compose/compose.ts";
import type { Toolbox } from "../src/compose/toolbox.ts";
import { projectRoot } from "../src/paths.ts";
import type { Progress } from "../src/progress.ts";

/** What every bench stands on. */
export interface BenchContext {
  readonly toolbox: Toolbox;
  /** `cacheDirectory()`: packages and base trees, which outlive the run. */
  readonly cache: string;
  /** `stateDirectory()` of this run alone: keys and repository. Below `scratch`. */
  readonly state: string;
  /** Folder for all that a bench makes; the toolbox sees it, and the run ends by removing it. */
  readonly scratch: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Our own tree, os/atoll.yaml by its lock, in `state`: composed once for all benches of a run. */
  composed(): Promise<ComposeResult>;
}

const conditionsSchema = Type.Object({
  /** When the bench began, ISO 8601 in UTC. */
  date: Type.String(),
  /** The commit of Atoll that was measured; `+` after it when the clone had changes. */
  commit: Type.String(),
  cpu: Type.String(),
  cores: Type.Integer(),
  /** Bytes of memory. */
  memory: Type.Integer(),
  kernel: Type.String(),
  /** Load average over one minute as the bench began, and as it ended. Every measured program is part of it. */
  load: Type.Object({ before: Type.Number(), after: Type.Number() }),
  /** Programs that were measured, or did the measuring, by their version. */
  versions: Type.Record(Type.String(), Type.String()),
});

/** What has to be known to read a figure. */
export type Conditions = Type.Static<typeof conditionsSchema>;

interface BenchDefinition<T extends Type.TSchema> {
  /** Also names bench/results/NAME.json and the part of docs/benchmarks.md that it fills. */
  readonly name: string;
  /** Figures of one run; times in seconds, sizes in bytes. */
  readonly figures: T;
  measure(context: BenchContext): Promise<Type.Static<T>>;
  /** The figures as Markdown. */
  render(figures: Type.Static<T>): string;
}

/** One bench. Its figures are known only to itself. */
export interface Bench {
  readonly name: string;
  /** Measures; gives the text of the result file. */
  run(context: BenchContext): Promise<string>;
  /** The text of a result file as Markdown. Throws when it is no result of this bench, as it is now. */
  render(result: string): string;
}

const resultSchema = Type.Object({ conditions: conditionsSchema, figures: Type.Unknown() });

/** Makes a bench of how to measure and how to show. */
export function defineBench<T extends Type.TSchema>(definition: BenchDefinition<T>): Bench {
  const { name } = definition;
  const checkResult = Compile(resultSchema);
  const checkFigures = Compile(definition.figures);
  return {
    name,
    run: async (context) => {
      const date = new Date().toISOString();
      const before = currentLoad();
      const figures = await definition.measure(context);
      const load = { before, after: currentLoad() };
      const conditions = { date, ...(await observeComputer()), load, versions: await versions(context) };
      return `${JSON.stringify({ conditions, figures }, null, 2)}\n`;
    },
    render: (text) => {
      const result: unknown = JSON.parse(text);
      if (!checkResult.Check(result)) throw mismatch(name, checkResult.Errors(result));
      const { conditions, figures } = result;
      if (!checkFigures.Check(figures)) throw mismatch(name, checkFigures.Errors(figures));
      return `${definition.render(figures).trim()}\n\n${conditionsLine(conditions)}`;
    },
  };
}

function mismatch(name: string, errors: readonly { instancePath: string; message: string }[]): Error {
  const [first] = errors;
  const problem = `${first?.instancePath || "/"} ${first?.message}`;
  return new Error(`bench/results/${name}.json: ${problem}; measure again: npm run bench -- ${name}`);
}

function conditionsLine(conditions: Conditions): string {
  const { date, commit, cpu, cores, memory, load } = conditions;
  const named = Object.entries(conditions.versions).map(([program, version]) => `${program} ${version}`);
  return [
    `Measured ${date.slice(0, 16).replace("T", " ")} UTC on ${cores} cores (${cpu}), ${(memory / 1e9).toFixed(0)} GB of memory,`,
    `Linux ${conditions.kernel}; load ${load.before.toFixed(1)} before and ${load.after.toFixed(1)} after; ${named.join(", ")};`,
    `Atoll at ${commit}.`,
  ].join("\n");
}

function currentLoad(): number {
  return Math.round((loadavg()[0] ?? 0) * 10) / 10;
}

async function observeComputer(): Promise<
  Pick<Conditions, "commit" | "cpu" | "cores" | "memory" | "kernel">
> {
  const git = async (...words: string[]): Promise<string> =>
    (await promisify(execFile)("git", ["-C", projectRoot, ...words])).stdout.trim();
  const processors = cpus();
  const commit = await git("rev-parse", "--short=12", "HEAD").catch(() => "no clone");
  const changed = await git("status", "--porcelain", "--untracked-files=no").catch(() => "");
  return {
    commit: changed === "" ? commit : `${commit}+`,
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memory: totalmem(),
    kernel: release(),
  };
}

async function versions({ toolbox, signal }: BenchContext): Promise<Record<string, string>> {
  const first = async (program: string, pattern: RegExp): Promise<string> => {
    const { stdout } = await toolbox.run([program, "--version"], { step: `asking ${program}`, signal });
    return pattern.exec(stdout)?.[1] ?? "unknown";
  };
  return {
    "Node.js": process.versions.node,
    OSTree: await first("ostree", /Version: '(.+)'/),
    zstd: await first("zstd", /v([\d.]+)/),
    QEMU: await first("qemu-system-x86_64", /version (\S+)/),
  };
}

/** Seconds that `work` takes, and what it gives. */
export async function timed<T>(work: () => Promise<T>): Promise<{ seconds: number; value: T }> {
  const started = performance.now();
  const value = await work();
  return { seconds: secondsSince(started), value };
}

/** Seconds since `started`, a reading of performance.now(), to the millisecond. */
export function secondsSince(started: number): number {
  return Math.round(performance.now() - started) / 1000;
}

/** The middle one of `values`; the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  if (low === undefined || high === undefined) throw new RangeError("no median of nothing");
  return (low + high) / 2;
}

/** Does `work` `count` times, one after the other, and gives what each gave. */
export async function repeat<T>(count: number, work: (turn: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let turn = 0; turn < count; turn++) results.push(await work(turn));
  return results;
}

/** Seconds since this computer booted, from the clock that start times of processes are told in. */
async function uptime(): Promise<number> {
  return Number.parseFloat(await readFile("/proc/uptime", "utf8"));
}

/** proc_pid_stat(5) counts time in ticks; Linux shows user space 100 a second on every architecture that we know. */
const ticksPerSecond = 100;

/** Seconds that the process `pid` exists, and seconds of processor time that it and its threads have used. */
export async function processTimes(pid: number): Promise<{ age: number; cpu: number }> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8");
  const now = await uptime();
  // The second field, the name, stands in parentheses and may hold anything.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const ticks = (field: number): number => Number(fields[field - 3]) / ticksPerSecond;
  const round = (seconds: number): number => Math.round(seconds * 100) / 100;
  return { age: round(now - ticks(22)), cpu: round(ticks(14) + ticks(15)) };
}
