import type { Command } from "commander";
import { addRebootOptions, changeHost, type RebootOptions } from "../change.ts";
import { type CliContext, type CommonOptions, makeHostCommand } from "../command.ts";

export function deployCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "deploy", "install one version, by name", [
    { command: "atoll host deploy 20261122.1", does: "that version of the stream; older ones too" },
    { command: "atoll host deploy 3f2a9c1b --reboot", does: "by checksum, and go there now" },
  ]).argument("<version>", "a version, or a checksum of at least eight digits");
  return addRebootOptions(command).action(async (target: string) => {
    const options: CommonOptions & RebootOptions = command.optsWithGlobals();
    const body = { target, ...(options.reboot && { reboot: true }) };
    await changeHost(context, command, "deploy", body, options);
  });
}
