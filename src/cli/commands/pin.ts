import type { Command } from "commander";
import { changeHost } from "../change.ts";
import { type CliContext, makeHostCommand } from "../command.ts";

const argument = "booted, rollback, an index, a version or a checksum";

export function pinCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "pin", "keep a deployment whatever comes after it", [
    { command: "atoll host pin booted", does: "what runs now stays to go back to" },
  ]).argument("<deployment>", argument);
  return command.action((deployment: string) => changeHost(context, command, "pin", { deployment }));
}

export function unpinCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "unpin", "let a pinned deployment go when its time comes", [
    { command: "atoll host unpin 2", does: "by its index in `atoll status --json`" },
  ]).argument("<deployment>", argument);
  return command.action((deployment: string) => changeHost(context, command, "unpin", { deployment }));
}
