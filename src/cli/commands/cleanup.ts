import type { Command } from "commander";
import { changeHost } from "../change.ts";
import { type CliContext, type CommonOptions, makeHostCommand } from "../command.ts";

interface CleanupOptions extends CommonOptions {
  readonly pending?: boolean;
  readonly rollback?: boolean;
}

export function cleanupCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "cleanup", "free space: drop what no deployment needs", [
    { command: "atoll host cleanup", does: "what no deployment needs" },
    { command: "atoll host cleanup --pending", does: "also the staged deployment" },
  ])
    .option("--pending", "drop the staged deployment")
    .option("--rollback", "drop the rollback deployment");
  return command.action(async () => {
    const { pending, rollback }: CleanupOptions = command.optsWithGlobals();
    const body = { ...(pending && { pending }), ...(rollback && { rollback }) };
    await changeHost(context, command, "cleanup", body);
  });
}
