import type { Command } from "commander";
import { exitCodes } from "../../errors.ts";
import { type CliContext, makeHostCommand, withHost } from "../command.ts";
import { json } from "../output.ts";
import { packageTable } from "../packages.ts";
import { treeName } from "../status-text.ts";

export function diffCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "diff", "show which packages differ between two versions", [
    { command: "atoll host diff", does: "what the next boot would change, or the update" },
    { command: "atoll host diff rollback booted", does: "what the last one changed" },
    { command: "atoll host diff 20261120.1 20261122.1", does: "two versions by name" },
  ])
    .argument("[from]", "booted, staged, rollback, update, an index, a version or a checksum", "booted")
    .argument("[to]", "the same (default: what boots next, or, where that runs already, update)");
  return command.action((from: string, to?: string) =>
    withHost(context, command, async ({ client }, options) => {
      const diff = await client.diff(from, to);
      if (options.json) context.terminal.out(json(diff));
      else {
        context.terminal.out(`${treeName(diff.from)} → ${treeName(diff.to)}`);
        context.terminal.out(
          diff.packages
            ? packageTable(diff.packages, context.terminal)
            : "One of the two does not list its packages.",
        );
      }
      if (diff.from.checksum === diff.to.checksum) context.exitWith(exitCodes.nothingToDo);
    }),
  );
}
