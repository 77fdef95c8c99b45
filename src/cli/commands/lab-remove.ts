import type { Command } from "commander";
import { killMachine, listMachines, removeMachine } from "../../lab/machine.ts";
import { stopOrigin } from "../../lab/origin.ts";
import { addJsonOption, type CliContext, type CommonOptions, makeCommand } from "../command.ts";
import { labContext } from "../lab-tools.ts";
import { json } from "../output.ts";
import { withProgress } from "../progress.ts";

interface RemoveOptions extends CommonOptions {
  readonly force?: boolean;
}

export function labRemoveCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("remove", "remove machines with their disks", [
      { command: "atoll lab remove atoll-1", does: "must be stopped" },
      { command: "atoll lab remove --force atoll-1", does: "even if it runs" },
    ]),
  )
    .argument("<name...>", "machines of the lab")
    .option("--force", "pull the plug first");
  return command.action(async (names: string[]) => {
    const { force, json: asJson }: RemoveOptions = command.opts();
    const lab = labContext(context);
    await withProgress(context.terminal, async (progress) => {
      for (const name of names) {
        progress.step(`removing ${name}`);
        if (force) await killMachine(lab, name);
        await removeMachine(lab, name);
      }
      if ((await listMachines(lab.lab)).length === 0) await stopOrigin(lab);
    });
    if (asJson) context.terminal.out(json({ removed: names }));
  });
}
