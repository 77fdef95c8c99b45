import { globSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run as runTestFiles } from "node:test";
import { inspect } from "node:util";
import { asAtollError } from "../src/errors.ts";
import { killMachine, listMachines } from "../src/lab/machine.ts";
import { stopOrigin } from "../src/lab/origin.ts";
import { cacheDirectory, labDirectory, projectRoot } from "../src/paths.ts";
import { run } from "../src/process.ts";
import { buildAll } from "./build.ts";

/**
 * - `check`: the static checks alone.
 * - `unit`: the tests that lie beside the code.
 * - `test`: both, then whole machines.
 * - `machines`: the whole machines alone.
 * - `soak`: the power cuts alone, ten times as many.
 */
export type TestKind = "check" | "unit" | "test" | "machines" | "soak";

/**
 * The power cuts of `npm test`, the same in every run: those that once found GRUB and Linux at odds after a cut. What
 * nobody has drawn yet is for `npm run soak` and `npm run test:machines`.
 */
const knownSeed = "2803770859";

/** What came of one check, of the unit tests, or of one file of whole-machine tests. */
interface Part {
  readonly name: string;
  readonly seconds: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface TestOptions {
  /** Pieces of paths: only test files whose path holds one of them, and no static checks. All when absent. */
  readonly files?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Runs tests. Prints one plain line for each thing that matters, the time that each part took, and last
 * `N passed, N failed`. Gives the exit code for the process: 0 when all is well, 1 otherwise.
 * Errors: INTERRUPTED.
 */
export async function runTests(kind: TestKind, options: TestOptions = {}): Promise<number> {
  const { files = [], signal = new AbortController().signal } = options;
  const parts: Part[] = [];
  if ((kind === "check" || kind === "test") && files.length === 0) {
    for (const check of checks) parts.push(await staticCheck(check, signal));
  }
  if (kind === "unit" || kind === "test") {
    // Our own treefile names the programs that go into the tree; a fresh clone has none yet.
    await buildAll();
    parts.push(...(await unitTests(files, signal)));
  }
  if (kind === "test") process.env.ATOLL_TEST_SEED ??= knownSeed;
  if (kind === "test" || kind === "machines") {
    parts.push(...(await machineTests(testFiles("test/*.test.ts", files), signal)));
  }
  if (kind === "soak") {
    process.env.ATOLL_TEST_CUTS ??= "200";
    parts.push(...(await machineTests(testFiles("test/power-cut*.test.ts", files), signal)));
  }
  return report(parts);
}

function testFiles(pattern: string, wanted: readonly string[]): string[] {
  const all = globSync(pattern, { cwd: projectRoot }).toSorted();
  return wanted.length === 0 ? all : all.filter((file) => wanted.some((word) => file.includes(word)));
}

/** Those that take longest come first, so that no long one runs alone at the end. */
const longest = ["test/power-cut.test.ts", "test/fallback.test.ts", "test/update.test.ts"];

function longestFirst(files: readonly string[]): string[] {
  return [
    ...longest.filter((file) => files.includes(file)),
    ...files.filter((file) => !longest.includes(file)),
  ];
}

function report(parts: readonly Part[]): number {
  say("");
  for (const part of parts) {
    const counts = `${part.passed} passed, ${part.failed} failed, ${part.skipped} skipped`;
    say(`${part.name.padEnd(40)} ${counts.padEnd(36)} ${shown(part.seconds)}`);
  }
  const all = parts.reduce(sum, emptyPart("all"));
  if (all.skipped > 0) say(`${all.skipped} skipped: the lines SKIPPED above say why`);
  say(`${all.passed} passed, ${all.failed} failed`);
  return all.failed === 0 && all.passed > 0 ? 0 : 1;
}

interface StaticCheck {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
}

const linted = ["src", "test", "bench", "scripts"];
const checks: readonly StaticCheck[] = [
  { name: "tsc", argv: ["node_modules/.bin/tsc", "-p", "."] },
  { name: "biome", argv: ["node_modules/.bin/biome", "check", "--error-on-warnings"] },
  { name: "oxlint", argv: ["node_modules/.bin/oxlint", "--type-aware", "--deny-warnings", ...linted] },
  { name: "knip", argv: ["node_modules/.bin/knip"] },
];

async function staticCheck({ name, argv }: StaticCheck, signal: AbortSignal): Promise<Part> {
  const started = performance.now();
  const lines: string[] = [];
  const onLine = (line: string): void => void lines.push(line);
  const part = { ...emptyPart(`check ${name}`), passed: 1 };
  try {
    await run(argv, { step: `checking with ${name}`, cwd: projectRoot, signal, onLine });
    const seconds = since(started);
    say(`ok      ${part.name} (${shown(seconds)})`);
    return { ...part, seconds };
  } catch (error) {
    if (signal.aborted) throw error;
    say(`FAILED  ${part.name}: ${lines.length === 0 ? asAtollError(error).message : ""}`);
    for (const line of lines) say(`        ${line}`);
    return { ...part, seconds: since(started), passed: 0, failed: 1 };
  }
}

/** All in one process: they are small, and starting Node.js for each file is what would cost. */
async function unitTests(wanted: readonly string[], signal: AbortSignal): Promise<Part[]> {
  const files = testFiles("{src,bench}/**/*.test.ts", wanted);
  if (files.length === 0) return [];
  const part = await nodeTests(
    "unit tests",
    files,
    { isolation: "none", timeout: 60_000, signal },
    (result) => {
      if (result.outcome !== "passed") sayResult(result);
    },
  );
  say(`${part.failed === 0 ? "ok    " : "FAILED"}  ${part.passed} unit tests (${shown(part.seconds)})`);
  return [part];
}

/**
 * Each file in a process of its own, two at once. What must not outlive the run lies in a temporary folder; what is
 * dear to make (toolbox, packages, base tree) stays in the cache directory for the next run.
 */
async function machineTests(files: readonly string[], signal: AbortSignal): Promise<Part[]> {
  if (files.length === 0) return [];
  // Not in /tmp, which may be memory: repositories and machines' disks are gigabytes.
  await mkdir(cacheDirectory(), { recursive: true });
  const state = await mkdtemp(join(cacheDirectory(), "test-"));
  process.env.ATOLL_STATE = state;
  try {
    const parts: Part[] = [];
    const waiting = longestFirst(files);
    const work = async (): Promise<void> => {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
        parts.push(await nodeTests(file, [file], { isolation: "process", signal }, sayResult));
      }
    };
    await Promise.all([work(), work()]);
    return parts;
  } finally {
    // Tests remove what they start; a run that was interrupted leaves it, as machines outlive what started them.
    for (const lab of [labDirectory(), labDirectory({ ATOLL_STATE: join(state, "start") })])
      await endLab(lab);
    await rm(state, { recursive: true, force: true });
  }
}

async function endLab(lab: string): Promise<void> {
  for (const { record } of await listMachines(lab)) await killMachine({ lab }, record.name);
  await stopOrigin({ lab });
}

interface NodeTestOptions {
  readonly isolation: "none" | "process";
  /** Milliseconds that one test may take; none when absent. */
  readonly timeout?: number;
  readonly signal: AbortSignal;
}

interface Result {
  readonly outcome: "passed" | "failed" | "skipped";
  /** The part that the test is of, and its own name. */
  readonly name: string;
  readonly seconds: number;
  /** Why it was skipped, or how it failed. */
  readonly why: string;
}

/** Runs test files as the part `name`, and calls `onResult` for each test as it ends. */
async function nodeTests(
  name: string,
  files: readonly string[],
  options: NodeTestOptions,
  onResult: (result: Result) => void,
): Promise<Part> {
  const started = performance.now();
  const count = { passed: 0, failed: 0, skipped: 0 };
  const stream = runTestFiles({ files, cwd: projectRoot, ...options });
  stream.on("test:stdout", ({ message }) => process.stdout.write(message));
  stream.on("test:stderr", ({ message }) => process.stderr.write(message));
  stream.on("test:complete", (event) => {
    const { passed, duration_ms, error, type } = event.details;
    // The runner reports each file as a test too, which tells something only when the file cannot even be loaded.
    const isFile = event.file === resolve(projectRoot, event.name);
    if (type === "suite" || isOnlyAboutSubtests(error) || (isFile && (passed || count.failed > 0))) return;
    const reason = event.skip ?? event.todo;
    const outcome = reason !== undefined ? "skipped" : passed ? "passed" : "failed";
    const why = reason === undefined ? howItFailed(error) : String(reason);
    count[outcome] += 1;
    onResult({ outcome, name: isFile ? name : `${name}: ${event.name}`, seconds: duration_ms / 1000, why });
  });
  // Events come while the stream is read; its end is the end of all tests.
  for await (const _ of stream);
  return { name, ...count, seconds: since(started) };
}

/** A test that failed for its subtests' sake: those were counted and shown already. */
function isOnlyAboutSubtests(error: Error | undefined): boolean {
  return error !== undefined && "failureType" in error && error.failureType === "subtestsFailed";
}

/** Message (with what was expected, and what came) and stack; the test runner's own wrapping left off. */
function howItFailed(error: Error | undefined): string {
  if (error === undefined) return "";
  const cause = error.cause ?? error;
  return cause instanceof Error && cause.stack ? cause.stack : inspect(cause);
}

function sayResult({ outcome, name, seconds, why }: Result): void {
  if (outcome === "passed") say(`ok      ${name} (${shown(seconds)})`);
  if (outcome === "skipped") say(`SKIPPED ${name}: ${why === "true" ? "no reason given" : why}`);
  if (outcome === "failed") say(`FAILED  ${name} (${shown(seconds)})\n${why.replace(/^/gm, "        ")}`);
}

function emptyPart(name: string): Part {
  return { name, seconds: 0, passed: 0, failed: 0, skipped: 0 };
}

function sum(a: Part, b: Part): Part {
  return {
    name: a.name,
    seconds: a.seconds + b.seconds,
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
  };
}

function since(started: number): number {
  return (performance.now() - started) / 1000;
}

function shown(seconds: number): string {
  return seconds < 100
    ? `${seconds.toFixed(1)} s`
    : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
