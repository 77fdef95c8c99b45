import type { Command } from "commander";
import { type CliContext, makeCommand } from "../command.ts";
import { cacheListCommand } from "./cache-list.ts";
import { cachePruneCommand } from "./cache-prune.ts";

/** What is kept so that it need not be made or fetched again. */
export function cacheCommand(context: CliContext): Command {
  return makeCommand("cache", "what is kept so that it need not be made or fetched again", [
    { command: "atoll cache list", does: "how much of what" },
    { command: "atoll cache prune", does: "remove what nothing has used for 30 days" },
  ])
    .addCommand(cacheListCommand(context))
    .addCommand(cachePruneCommand(context));
}
