import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { exitCodes, isSystemError } from "../errors.ts";
import { type CliContext, exitCodeHelp, isHelp, makeCommand } from "./command.ts";
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

/** A second Ctrl-C within this time is the same wish, come by another way (a parent process passes it on). */
const sameWishMs = 300;

/**
 * The whole life of the command: reads the words, runs the command that they name, shows what went wrong, and sets
 * the exit code. The first Ctrl-C or SIGTERM interrupts the work, which tidies up; the second one ends the process.
 */
export async function runCli(words: readonly string[], options: CliOptions): Promise<void> {
  const interrupt = new AbortController();
  onInterrupt(interrupt);
  process.stdout.on("error", (error) => {
    // The reader of a pipe, such as head(1), has had enough.
    if (isSystemError(error, "EPIPE")) process.exit();
    throw error;
  });
  const terminal = processTerminal();
  const context: CliContext = {
    terminal,
    env: process.env,
    signal: interrupt.signal,
    sleep: (milliseconds) => sleep(milliseconds),
    transport: options.transport(process.env, interrupt.signal),
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

function onInterrupt(interrupt: AbortController): void {
  let first = 0;
  const stop = (): void => {
    const now = performance.now();
    if (!interrupt.signal.aborted) {
      first = now;
      interrupt.abort();
    } else if (now - first > sameWishMs) process.exit(exitCodes.interrupted);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
}
