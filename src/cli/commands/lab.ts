import { readdirSync } from "node:fs";
import type { Command } from "commander";
import { labDirectory } from "../../paths.ts";
import { type CliContext, makeCommand } from "../command.ts";
import type { Completions } from "./completion.ts";
import { labConsoleCommand } from "./lab-console.ts";
import { labCreateCommand } from "./lab-create.ts";
import { labListCommand } from "./lab-list.ts";
import { labLogsCommand } from "./lab-logs.ts";
import { labRemoveCommand } from "./lab-remove.ts";
import { labSshCommand } from "./lab-ssh.ts";
import { labStartCommand } from "./lab-start.ts";
import { labStopCommand } from "./lab-stop.ts";
import { labUpCommand } from "./lab-up.ts";

/** Machines on this computer. */
export function labCommand(context: CliContext): Command {
  const group = makeCommand("lab", "machines on this computer, in QEMU", [
    { command: "atoll lab up", does: "a host of your own, with everything that it needs" },
    { command: "atoll lab list", does: "what there is" },
    { command: "atoll lab stop", does: "all of it" },
  ]);
  for (const make of [
    labUpCommand,
    labListCommand,
    labCreateCommand,
    labStartCommand,
    labStopCommand,
    labRemoveCommand,
    labSshCommand,
    labConsoleCommand,
    labLogsCommand,
  ]) {
    group.addCommand(make(context));
  }
  return group;
}

/** The lab's machines, wherever a machine or a host is to be named. */
export function labCompletions(env: NodeJS.ProcessEnv): Completions {
  const names = (): string[] => {
    try {
      const entries = readdirSync(labDirectory(env), { withFileTypes: true });
      return entries
        .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
        .map(({ name }) => name);
    } catch {
      // No lab, no names; a shell that asks for completions has no place for an error.
      return [];
    }
  };
  return { name: names, host: names };
}
