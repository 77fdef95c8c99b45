import type { Command } from "commander";
import { exitCodes } from "../../errors.ts";
import { killMachine, listMachines, stopMachine } from "../../lab/machine.ts";
import { stopOrigin } from "../../lab/origin.ts";
import { type CliContext, makeCommand } from "../command.ts";
import { labContext } from "../lab-tools.ts";
import { drawProgress } from "../progress.ts";

interface StopOptions {
  readonly force?: boolean;
}

export function labStopCommand(context: CliContext): Command {
  const command = makeCommand("stop", "stop machines by their power button", [
    { command: "atoll lab stop", does: "all of them, and what serves them trees and images" },
    { command: "atoll lab stop atoll-1", does: "one" },
    { command: "atoll lab stop --force atoll-1", does: "pull the plug" },
  ])
    .argument("[name...]", "machines of the lab; all when left out")
    .option("--force", "pull the plug");
  return command.action(async (names: string[]) => {
    const { force }: StopOptions = command.opts();
    const lab = labContext(context);
    const running = (await listMachines(lab.lab)).filter((machine) => machine.running);
    const chosen = names.length > 0 ? names : running.map(({ record }) => record.name);
    const progress = drawProgress(context.terminal);
    let stopped = 0;
    for (const name of chosen) {
      progress.step(`stopping ${name}`);
      if (force) stopped += (await killMachine(lab, name)) ? 1 : 0;
      else {
        const outcome = await stopMachine(lab, name);
        stopped += outcome === "was-stopped" ? 0 : 1;
        if (outcome === "forced") progress.step(`${name} did not go down in time; its plug was pulled`);
      }
    }
    if (names.length === 0) {
      progress.step("stopping what served them");
      stopped += (await stopOrigin(lab)) ? 1 : 0;
    }
    progress.done();
    if (stopped === 0) {
      context.terminal.out("Nothing of the lab was running.");
      context.exitWith(exitCodes.nothingToDo);
    }
  });
}
