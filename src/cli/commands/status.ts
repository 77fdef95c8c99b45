import type { Command } from "commander";
import { type CliContext, makeHostCommand, withHost } from "../command.ts";
import { json } from "../output.ts";
import { statusText } from "../status-text.ts";

export function statusCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "status", "show deployments, health, trial and available update", [
    { command: "atoll status", does: "the one host there is, or the lab's first machine" },
    { command: "atoll status --host root@192.0.2.7", does: "any host, by SSH" },
    { command: "atoll status --json", does: "the same for programs" },
  ]);
  return command.action(() =>
    withHost(context, command, async ({ client }, options) => {
      const status = await client.status();
      context.terminal.out(options.json ? json(status) : statusText(status, context.terminal, Date.now()));
    }),
  );
}
