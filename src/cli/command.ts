import { Command, CommanderError } from "commander";
import { AtollError, exitCodes } from "../errors.ts";
import { leastMemoryMiB } from "../lab/limits.ts";
import type { Terminal } from "./terminal.ts";
import type { Connection, HostTransport } from "./transport.ts";

/** What every command is given. */
export interface CliContext {
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
  /** Fires at the first Ctrl-C. */
  readonly signal: AbortSignal;
  /** Waits; tests need not. */
  sleep(milliseconds: number): Promise<void>;
  /** How hosts are reached. */
  readonly transport: HostTransport;
  /** Sets the exit code of a command that did not fail. */
  exitWith(code: number): void;
}

export interface Example {
  readonly command: string;
  readonly does: string;
}

/** A command with its help; every mistake in its use becomes a USAGE error that names its `--help`. */
export function makeCommand(name: string, summary: string, examples: readonly Example[] = []): Command {
  const command = new Command(name)
    .description(summary)
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .enablePositionalOptions()
    .configureOutput({ outputError: () => {} })
    .exitOverride((error) => {
      throw isHelp(error) ? error : usageError(command, error);
    });
  if (examples.length > 0) {
    const widest = Math.max(...examples.map((example) => example.command.length));
    const lines = examples.map((example) => `  ${example.command.padEnd(widest)}  ${example.does}`);
    command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
  }
  return command;
}

/** True for what commander throws after it has shown help or the version. */
export function isHelp(error: unknown): error is CommanderError {
  return (
    error instanceof CommanderError &&
    ["commander.help", "commander.helpDisplayed", "commander.version"].includes(error.code)
  );
}

function usageError(command: Command, error: CommanderError): AtollError {
  const problem = error.message
    .replace(/^error: /, "")
    .replace(/\n\((.*)\)/s, " ($1)")
    .trim();
  return misuse(command, problem, error);
}

/** The USAGE error for `problem` in the use of `command`; it names the command's `--help`. */
export function misuse(command: Command, problem: string, cause?: unknown): AtollError {
  const names: string[] = [];
  for (let each: Command | null = command; each; each = each.parent) names.unshift(each.name());
  return new AtollError("USAGE", { problem, help: `${names.join(" ")} --help` }, cause);
}

/** Options that the helpers below understand; a command's own come on top. */
export interface CommonOptions {
  readonly host?: string;
  readonly json?: boolean;
}

/** A command that speaks to a host's daemon. */
export function makeHostCommand(
  context: CliContext,
  name: string,
  summary: string,
  examples: readonly Example[] = [],
): Command {
  const command = makeCommand(name, summary, examples);
  if (context.transport.remote) addHostOption(command);
  return addJsonOption(command);
}

export function addHostOption(command: Command): Command {
  return command.option("--host <host>", "a machine of the lab, or [user@]address[:port] by SSH");
}

export function addJsonOption(command: Command): Command {
  return command.option("--json", "print one JSON document");
}

/** Runs `work` with a connection to the host that the options name. */
export async function withHost(
  context: CliContext,
  command: Command,
  work: (connection: Connection, options: CommonOptions) => Promise<void>,
): Promise<void> {
  const options: CommonOptions = command.optsWithGlobals();
  await work(await context.transport.connect(options.host ?? context.env.ATOLL_HOST), options);
}

/** A whole number from `least` to `most`, given as `option`. Errors: USAGE, which names the command `help`. */
export function parseCount(
  text: string,
  option: string,
  help: string,
  most = Number.MAX_SAFE_INTEGER,
  least = 1,
): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  const from = least === 1 ? "" : ` from ${least}`;
  const to = most === Number.MAX_SAFE_INTEGER ? "" : ` up to ${most}`;
  throw new AtollError("USAGE", { problem: `${option} is "${text}", not a count${from}${to}`, help });
}

/** `--memory` of a machine. Errors: USAGE. */
export function parseMemory(text: string, help: string): number {
  return parseCount(text, "--memory", help, Number.MAX_SAFE_INTEGER, leastMemoryMiB);
}

/** Every exit code and what it means. */
export const exitCodeMeanings: readonly (readonly [number, string])[] = [
  [exitCodes.done, "done"],
  [exitCodes.failed, "failed"],
  [exitCodes.usage, "wrong use"],
  [exitCodes.refused, "refused, nothing changed"],
  [exitCodes.busy, "the host is busy with another change"],
  [exitCodes.unreachable, "the host cannot be reached"],
  [exitCodes.nothingToDo, "nothing to do"],
  [exitCodes.interrupted, "interrupted"],
];

/** The same for the end of the top-level help. */
export function exitCodeHelp(): string {
  return `\nExit codes:\n${exitCodeMeanings.map(([code, text]) => `  ${String(code).padEnd(4)} ${text}`).join("\n")}`;
}
