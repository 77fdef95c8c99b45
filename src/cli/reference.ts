import type { Command } from "commander";
import { makeProgram } from "./cli.ts";
import { type CliContext, exitCodeMeanings } from "./command.ts";
import { wholeProgram } from "./program.ts";

/** docs/reference/cli.md as it must be for the commands as they are. */
export function cliReference(): string {
  const program = makeProgram(idleContext(), wholeProgram);
  const rows = exitCodeMeanings.map(([code, meaning]) => `| ${code} | ${meaning} |`);
  return [
    "# The `atoll` command",
    "",
    "From a clone it is `./atoll`; inside a machine it is `atoll`, has the host's commands only, and speaks to that",
    "machine. `--host` takes a machine of the lab by name, or `[user@]address[:port]` to go there by SSH; `ATOLL_HOST`",
    "does the same for every command. Without either it is this computer if it is an Atoll host, else the lab's first",
    "machine, one that runs before one that does not.",
    "",
    "Results are on standard output, progress and failures on standard error. `--json` prints one JSON document; a",
    "failure then is one too, on standard output: `{error: {code, message, next, parameters}}`, with the codes of",
    "[errors.md](errors.md). Colour: on a terminal, unless `NO_COLOR` is set.",
    "",
    "| exit code | means |",
    "|---|---|",
    ...rows,
    "",
    "| variable | means |",
    "|---|---|",
    "| `ATOLL_HOST` | the host, as `--host` |",
    "| `ATOLL_STATE` | what must not be lost: keys, repositories, the lab (`~/.local/state/atoll`) |",
    "| `ATOLL_CACHE` | what can be made again: toolbox, packages, images (`~/.cache/atoll`) |",
    "| `ATOLL_ACCELERATOR` | `kvm` or `tcg`: how the lab's machines run, in place of trying |",
    "| `NO_COLOR` | no colour |",
    "",
    "This page is made from the commands themselves by `scripts/run docs`; a test fails when the two differ.",
    "",
    ...program.commands.flatMap((command) => section(command, "atoll")),
  ].join("\n");
}

function section(command: Command, parent: string): string[] {
  const name = `${parent} ${command.name()}`;
  // Made for people to call, not for shells.
  if (command.name() === "complete") return [];
  const below = command.commands.flatMap((each) => section(each, name));
  // A group says nothing that its commands do not.
  if (below.length > 0 && command.registeredArguments.length === 0) return below;
  return [`## ${name}`, "", "```", help(command, 100), "```", "", ...below];
}

/** A command's help as a terminal of `columns` columns shows it, examples included. */
function help(command: Command, columns: number): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => columns,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trimEnd();
}

/** A context for commands that are looked at and never run. */
function idleContext(): CliContext {
  const { signal } = new AbortController();
  return {
    terminal: {
      ...{ out: () => {}, err: () => {}, redraw: () => {} },
      ...{ columns: 100, colour: false, live: false, interactive: false },
    },
    ...{
      env: {},
      signal,
      sleep: async () => {},
      transport: wholeProgram.transport({}, signal),
      exitWith: () => {},
    },
  };
}
