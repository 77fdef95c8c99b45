import type { Command } from "commander";
import { addRebootOptions, changeHost, type RebootOptions } from "../change.ts";
import { type CliContext, type CommonOptions, makeHostCommand } from "../command.ts";

interface RebaseOptions extends CommonOptions, RebootOptions {
  readonly allowDowngrade?: boolean;
}

export function rebaseCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "rebase", "follow another stream from now on", [
    { command: "atoll host rebase testing", does: "the stream of that name" },
    {
      command: "atoll host rebase atoll:atoll/x86_64/stable --reboot",
      does: "a whole remote:ref, and go there now",
    },
  ]).argument("<stream>", "a stream, a ref, or remote:ref");
  addRebootOptions(command).option(
    "--allow-downgrade",
    "take a version that is older than the one that runs",
  );
  return command.action(async (to: string) => {
    const options: RebaseOptions = command.optsWithGlobals();
    const body = {
      to,
      ...(options.reboot && { reboot: true }),
      ...(options.allowDowngrade && { allowDowngrade: true }),
    };
    await changeHost(context, command, "rebase", body, options);
  });
}
