import type { Command } from "commander";
import { addRebootOptions, changeHost, type RebootOptions } from "../change.ts";
import { type CliContext, type CommonOptions, makeHostCommand } from "../command.ts";

export function rollbackCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "rollback", "go back to the deployment before this one", [
    { command: "atoll rollback", does: "it boots next" },
    { command: "atoll rollback --reboot --wait", does: "go there now, and tell how it went" },
  ]);
  return addRebootOptions(command).action(async () => {
    const options: CommonOptions & RebootOptions = command.optsWithGlobals();
    await changeHost(context, command, "rollback", options.reboot ? { reboot: true } : {}, options);
  });
}
