import type { Command } from "commander";
import { type CliContext, makeCommand } from "../command.ts";
import { cleanupCommand } from "./cleanup.ts";
import { deployCommand } from "./deploy.ts";
import { diffCommand } from "./diff.ts";
import { healthCommand } from "./health.ts";
import { historyCommand } from "./history.ts";
import { kargsCommand } from "./kargs.ts";
import { pinCommand, unpinCommand } from "./pin.ts";
import { rebaseCommand } from "./rebase.ts";
import { rollbackCommand } from "./rollback.ts";
import { statusCommand } from "./status.ts";
import { upgradeCommand } from "./upgrade.ts";
import { usroverlayCommand } from "./usroverlay.ts";

/** The verbs of one machine. */
export function hostCommand(context: CliContext): Command {
  const group = makeCommand("host", "one machine: what it runs, and what it is to run", [
    { command: "atoll host status", does: "what runs, and how well" },
    { command: "atoll host upgrade --reboot", does: "take the newest version" },
    { command: "atoll host history", does: "what has happened" },
  ]);
  for (const make of [
    statusCommand,
    upgradeCommand,
    rollbackCommand,
    rebaseCommand,
    deployCommand,
    pinCommand,
    unpinCommand,
    kargsCommand,
    diffCommand,
    healthCommand,
    historyCommand,
    cleanupCommand,
    usroverlayCommand,
  ]) {
    group.addCommand(make(context));
  }
  return group;
}
