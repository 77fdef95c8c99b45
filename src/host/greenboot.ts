/**
 * The owner's own checks and hooks, in greenboot's directories and with greenboot's meaning:
 * `check/required.d` must pass, in order, the first failure ends it; `check/wanted.d` may fail, and is logged;
 * `green.d` runs after a verdict of well, `red.d` after one of unwell. /usr/lib comes before /etc.
 */
import { access, constants, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "./clock.ts";
import type { HealthCheck } from "./model.ts";
import type { Systemd } from "./systemd.ts";

export type ScriptFolder = "check/required.d" | "check/wanted.d" | "green.d" | "red.d";

export interface GreenbootOptions {
  /** Directories that hold the folders, in the order that they run. */
  readonly roots: readonly string[];
  readonly configuration: string;
  /** Milliseconds that each script may take. */
  readonly timeLimit: number;
  readonly run: Systemd["runOutside"];
  readonly clock: Clock;
}

export const greenbootRoots: readonly string[] = ["/usr/lib/greenboot", "/etc/greenboot"];

/** The scripts of `folder` as checks, run in order; those of `check/required.d` only up to the first failure. */
export async function runScripts(
  folder: ScriptFolder,
  options: GreenbootOptions,
  signal: AbortSignal,
): Promise<HealthCheck[]> {
  const disabled = parseDisabled(await readFile(options.configuration, "utf8").catch(() => ""));
  const required = folder === "check/required.d";
  const results: HealthCheck[] = [];
  for (const script of await scriptsIn(folder, options.roots)) {
    const name = `${folder.replace("check/", "")}/${script.name}`;
    if (disabled.includes(script.name)) {
      results.push(skipped(name, required));
      continue;
    }
    const result = await runScript(script, name, required, options, signal);
    results.push(result);
    if (required && result.outcome === "failed") break;
  }
  return results;
}

/** How many scripts `folders` hold. */
export async function countScripts(
  folders: readonly ScriptFolder[],
  roots: readonly string[],
): Promise<number> {
  const lists = await Promise.all(folders.map((folder) => scriptsIn(folder, roots)));
  return lists.flat().length;
}

function skipped(name: string, required: boolean): HealthCheck {
  const summary = "switched off in greenboot.conf";
  return { name, required, outcome: "skipped", summary, detail: [], durationMs: 0 };
}

/** The names in `DISABLED_HEALTHCHECKS=("a.sh" "b.sh")` of greenboot.conf, a shell array. */
export function parseDisabled(configuration: string): string[] {
  const list = /^\s*DISABLED_HEALTHCHECKS=\(([^)]*)\)/m.exec(configuration)?.[1] ?? "";
  return [...list.matchAll(/"([^"]*)"|'([^']*)'|([^\s"']+)/g)]
    .map(([, double, single, bare]) => double ?? single ?? bare ?? "")
    .filter((name) => name !== "");
}

interface Script {
  readonly name: string;
  readonly path: string;
  /** True for `*.sh`, which need not be executable. */
  readonly shell: boolean;
}

async function scriptsIn(folder: ScriptFolder, roots: readonly string[]): Promise<Script[]> {
  const lists = await Promise.all(
    roots.map(async (root) => {
      const directory = join(root, folder);
      const names = await readdir(directory).catch(() => []);
      const scripts = names.toSorted(byBytes).map((name) => asScript(directory, name));
      return (await Promise.all(scripts)).filter((script) => script !== null);
    }),
  );
  return lists.flat();
}

/** As `ls` in the C locale, so that numbers before names give the order anywhere. */
function byBytes(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

async function asScript(directory: string, name: string): Promise<Script | null> {
  const path = join(directory, name);
  const file = await stat(path).catch(() => null);
  if (!file?.isFile()) return null;
  if (name.endsWith(".sh")) return { name, path, shell: true };
  return (file.mode & 0o111) === 0 ? null : { name, path, shell: false };
}

async function runScript(
  script: Script,
  name: string,
  required: boolean,
  { timeLimit, run, clock }: GreenbootOptions,
  signal: AbortSignal,
): Promise<HealthCheck> {
  const started = clock.uptime();
  const argv = script.shell ? [await shell(), script.path] : [script.path];
  const { code, timedOut, output } = await run(argv, timeLimit, signal);
  const durationMs = Math.round(clock.uptime() - started);
  if (code === 0) return { name, required, outcome: "passed", summary: "passed", detail: [], durationMs };
  const end = code === null ? "was killed" : `ended with exit code ${code}`;
  const summary = `${name} ${timedOut ? `took longer than ${Math.round(timeLimit / 1000)} s` : end}`;
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  return { name, required, outcome: "failed", summary, detail: lines.slice(-detailLines), durationMs };
}

/** Lines of a script's output that are kept. */
const detailLines = 10;

/** greenboot's scripts are written for bash; sh serves where there is none. */
async function shell(): Promise<string> {
  return access("/bin/bash", constants.X_OK).then(
    () => "/bin/bash",
    () => "/bin/sh",
  );
}
