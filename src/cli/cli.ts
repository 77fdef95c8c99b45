import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { exitCodes, isSystemError } from "../errors.ts";
import { type CliContext, exitCodeHelp, isHelp, makeCommand } from "./command.ts";
import { interruptSignal } from "./interrupt.ts";
import { showFailure } from "./output.ts";
import { processTerminal } from "./terminal.ts";
import type { HostTransport } from "./transport.ts";

export interface CliOptions {
  readonly version: string;
  readonly summary: string;
  /** Adds the commands to the program. */
  readonly commands: (program: Command, context: CliContext) => void;
  readonly transport: (env: NodeJS.ProcessEnv, signal: AbortSignal) => HostTransport;
}

/** Nobody reads any more, as the terminal is gone; the work still has to be tidied up. */
const goneCodes = ["EIO", "EPIPE"];

/**
 * The whole life of the command: reads the words, runs the command that they name, shows what went wrong, and sets
 * the exit code. Ctrl-C, SIGTERM and a closed terminal interrupt the work, which tidies up.
 */
export async function runCli(words: readonly string[], options: CliOptions): Promise<void> {
  process.stdout.on("error", (error) => {
    // The reader of a pipe, such as head(1), has had enough.
    if (isSystemError(error, "EPIPE")) process.exit();
    if (!isSystemError(error, ...goneCodes)) throw error;
  });
  process.stderr.on("error", (error) => {
    if (!isSystemError(error, ...goneCodes)) throw error;
  });
  const terminal = processTerminal();
  const signal = interruptSignal((line) => {
    if (terminal.live) terminal.redraw("");
    terminal.err(`atoll: ${line}`);
  });
  const context: CliContext = {
    terminal,
    env: process.env,
    signal,
    sleep: (milliseconds) => sleep(milliseconds),
    transport: options.transport(process.env, signal),
    exitWith: (code) => {
      process.exitCode = code;
    },
  };
  try {
    const program = makeProgram(context, options);
    await program.parseAsync([...words], { from: "user" });
  } catch (error) {
    process.exitCode = isHelp(error)
      ? error.exitCode === 0
        ? exitCodes.done
        : exitCodes.usage
      : showFailure(terminal, error, words.includes("--json"));
  }
}

/** The program with all its commands, as completion and the reference page need it too. */
export function makeProgram(context: CliContext, options: CliOptions): Command {
  const program = makeCommand("atoll", options.summary)
    .version(options.version, "-V, --version", "show the version")
    .addHelpText("after", exitCodeHelp());
  if (context.transport.remote) {
    program.option("--host <host>", "the host that `host` commands speak to (also: ATOLL_HOST)");
  }
  options.commands(program, context);
  return program;
}
