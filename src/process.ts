import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError, isSystemError } from "./errors.ts";

export interface RunOptions {
  /** What this command is for, in a person's words; begins the sentence of its error. */
  readonly step: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Written to the command's standard input, which is closed after it. */
  readonly input?: string | Uint8Array;
  readonly signal?: AbortSignal;
  /** Exit codes that are not failures; 0 alone when absent. */
  readonly accept?: readonly number[];
  /** Called with each whole line of output (both streams) as it comes. */
  readonly onLine?: (line: string) => void;
  /** The file that holds the full output, named in the error. */
  readonly log?: string;
  /** Where there is no `log`: the folder that gets one, with the whole output, when the command fails. */
  readonly logs?: string;
  /** Named in errors in place of `argv`: the command that matters, where `argv` wraps it. */
  readonly shownAs?: readonly string[];
  /** Package that brings the program, named when it is missing. */
  readonly hint?: string;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `argv` to its end and gives its output. Ends the whole process group when `signal` fires.
 * Errors: COMMAND_MISSING, COMMAND_FAILED (exit code not in `accept`), INTERRUPTED.
 */
export async function run(argv: readonly [string, ...string[]], options: RunOptions): Promise<RunResult> {
  const [program, ...rest] = argv;
  if (options.signal?.aborted) throw new AtollError("INTERRUPTED", { step: options.step });
  const child = spawn(program, rest, {
    cwd: options.cwd,
    env: options.env ? { ...process.env, ...options.env } : process.env,
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    detached: true,
  });
  const stop = (): void => endGroup(child);
  options.signal?.addEventListener("abort", stop, { once: true });
  const whole: string[] = [];
  const stdout = collect(child.stdout, whole, options.onLine);
  const stderr = collect(child.stderr, whole, options.onLine);
  if (options.input !== undefined) {
    // A command may end before it has read everything; its exit code tells the story, not EPIPE.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input);
  }
  try {
    const { code, killedBy } = await ended(child);
    if (options.signal?.aborted) throw new AtollError("INTERRUPTED", { step: options.step });
    const result = { code: code ?? -1, stdout: stdout(), stderr: stderr() };
    if (code !== null && (options.accept ?? [0]).includes(code)) return result;
    throw new AtollError("COMMAND_FAILED", {
      step: options.step,
      command: shown(options.shownAs ?? argv),
      outcome: killedBy ? `signal ${killedBy}` : `exit code ${code}`,
      output: lastLines(result.stderr || result.stdout, 5) || "(no output)",
      log: options.log ?? (await writeLog(options, child.pid, [`${argv.join(" ")}\n`, ...whole])) ?? noLog,
    });
  } catch (error) {
    if (isSystemError(error, "ENOENT", "EACCES")) {
      throw new AtollError(
        "COMMAND_MISSING",
        { step: options.step, program, hint: options.hint ?? `the package that holds ${program}` },
        error,
      );
    }
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", stop);
  }
}

/** Stands in COMMAND_FAILED for the log's name where there is no log. */
export const noLog = "no file: what is above is all that was kept";

/** Gives the file that now holds `texts`; null when there is to be none, or it cannot be written. */
async function writeLog(
  { logs, step }: RunOptions,
  pid: number | undefined,
  texts: readonly string[],
): Promise<string | null> {
  if (logs === undefined) return null;
  const time = new Date().toISOString().replaceAll(":", "-");
  const name = step.replaceAll(/[^A-Za-z0-9]+/g, "-").slice(0, 40);
  const file = join(logs, `${time}-${name}-${pid}.log`);
  // A full disk may be what the command failed of, and that is what there is to tell.
  return mkdir(logs, { recursive: true })
    .then(() => writeFile(file, texts.join("")))
    .then(
      () => file,
      () => null,
    );
}

function ended(child: ChildProcess): Promise<{ code: number | null; killedBy: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, killedBy) => resolve({ code, killedBy }));
  });
}

/** Ends the process group that `child` leads: politely first, for good after two seconds. */
function endGroup(child: ChildProcess): void {
  const pid = child.pid;
  if (pid === undefined) return;
  signalGroup(pid, "SIGTERM");
  const timer = setTimeout(() => signalGroup(pid, "SIGKILL"), 2000);
  child.once("close", () => clearTimeout(timer));
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!isSystemError(error, "ESRCH")) throw error;
  }
}

/** Reads `stream` to its end: into what the call that it gives returns, and into `whole`, in the order that it comes. */
function collect(
  stream: NodeJS.ReadableStream | null,
  whole: string[],
  onLine?: (line: string) => void,
): () => string {
  const chunks: string[] = [];
  let partial = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (chunk: string) => {
    chunks.push(chunk);
    whole.push(chunk);
    if (!onLine) return;
    const lines = (partial + chunk).split(/[\r\n]+/);
    partial = lines.pop() ?? "";
    for (const line of lines) if (line) onLine(line);
  });
  stream?.on("end", () => {
    if (onLine && partial) onLine(partial);
  });
  return () => chunks.join("");
}

/** The last `count` non-empty lines of `text`, 300 characters of each, joined by " | ". */
export function lastLines(text: string, count: number): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const short = (line: string): string => (line.length > 300 ? `${line.slice(0, 299)}…` : line);
  return lines.slice(-count).map(short).join(" | ").trim();
}

/** `argv` as one would type it, shortened to fit a line. */
function shown(argv: readonly string[]): string {
  const text = argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`)).join(" ");
  return text.length > 200 ? `${text.slice(0, 197)}…` : text;
}
