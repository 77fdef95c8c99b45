import type { Command } from "commander";
import type { UpgradeRequest } from "../../api/types.ts";
import { addRebootOptions, changeHost, type RebootOptions } from "../change.ts";
import { type CliContext, type CommonOptions, makeHostCommand, misuse } from "../command.ts";

interface UpgradeOptions extends CommonOptions, RebootOptions {
  readonly check?: boolean;
  readonly stage?: boolean;
  readonly allowDowngrade?: boolean;
}

export function upgradeCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "upgrade", "take the newest version of the host's stream", [
    { command: "atoll upgrade --check", does: "only look; exit code 77 when there is none" },
    { command: "atoll upgrade", does: "make it ready; it starts at the next reboot" },
    { command: "atoll upgrade --reboot --wait", does: "go there now, and tell how it went" },
  ])
    .option("--check", "only look whether there is one")
    .option("--stage", "make it ready for the next reboot (what happens without options)");
  addRebootOptions(command).option(
    "--allow-downgrade",
    "take a version that is older than the one that runs",
  );
  return command.action(async () => {
    const options: UpgradeOptions = command.optsWithGlobals();
    await changeHost(context, command, "upgrade", upgradeRequest(command, options), options);
  });
}

function upgradeRequest(command: Command, options: UpgradeOptions): UpgradeRequest {
  const chosen = [options.check, options.stage, options.reboot].filter((each) => each).length;
  if (chosen > 1) throw misuse(command, "--check, --stage and --reboot exclude each other");
  if (options.check && options.allowDowngrade) {
    throw misuse(command, "--check takes nothing, so --allow-downgrade does not go with it");
  }
  return {
    mode: options.check ? "check" : options.reboot ? "reboot" : "stage",
    ...(options.allowDowngrade && { allowDowngrade: true }),
  };
}
