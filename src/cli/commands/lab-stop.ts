import type { Command } from "commander";
import { exitCodes } from "../../errors.ts";
import { killMachine, type LabContext, listMachines, stopMachine } from "../../lab/machine.ts";
import { stopOrigin } from "../../lab/origin.ts";
import { addJsonOption, type CliContext, type CommonOptions, makeCommand } from "../command.ts";
import { labContext } from "../lab-tools.ts";
import { json } from "../output.ts";
import { type CommandProgress, withProgress } from "../progress.ts";

interface StopOptions extends CommonOptions {
  readonly force?: boolean;
}

export function labStopCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("stop", "stop machines by their power button", [
      { command: "atoll lab stop", does: "all of them, and what serves them trees and images" },
      { command: "atoll lab stop atoll-1", does: "one" },
      { command: "atoll lab stop --force atoll-1", does: "pull the plug" },
    ]),
  )
    .argument("[name...]", "machines of the lab; all when left out")
    .option("--force", "pull the plug");
  return command.action(async (names: string[]) => {
    const { force, json: asJson }: StopOptions = command.opts();
    const stopped = await withProgress(context.terminal, (progress) =>
      stopAll(labContext(context), names, force === true, progress),
    );
    if (asJson) context.terminal.out(json({ stopped }));
    if (stopped.length === 0) {
      if (!asJson) context.terminal.out("Nothing of the lab was running.");
      context.exitWith(exitCodes.nothingToDo);
    }
  });
}

/** Stops machines side by side, and with all of them what serves them. Gives the names of what did run. */
async function stopAll(
  lab: LabContext,
  names: readonly string[],
  force: boolean,
  progress: CommandProgress,
): Promise<string[]> {
  const running = (await listMachines(lab.lab)).filter((machine) => machine.running);
  const chosen = names.length > 0 ? names : running.map(({ record }) => record.name);
  if (chosen.length > 0) progress.step(`stopping ${chosen.join(", ")}`);
  const stop = async (name: string): Promise<boolean> => {
    if (force) return killMachine(lab, name);
    const outcome = await stopMachine(lab, name);
    if (outcome === "forced") progress.note(`${name} did not go down in time; its plug was pulled`);
    return outcome !== "was-stopped";
  };
  const outcomes = await Promise.all(chosen.map(async (name) => ((await stop(name)) ? [name] : [])));
  if (names.length > 0) return outcomes.flat();
  return [...outcomes.flat(), ...((await stopOrigin(lab)) ? ["origin"] : [])];
}
