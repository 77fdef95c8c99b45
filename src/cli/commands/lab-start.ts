import type { Command } from "commander";
import { exitCodes } from "../../errors.ts";
import { getMachine, startMachine } from "../../lab/machine.ts";
import { resumeOrigin } from "../../lab/origin.ts";
import { type CliContext, makeCommand } from "../command.ts";
import { labTools, onlyMachine } from "../lab-tools.ts";
import { drawProgress } from "../progress.ts";

export function labStartCommand(context: CliContext): Command {
  const command = makeCommand("start", "start a machine; it runs until it is stopped", [
    { command: "atoll lab start atoll-1", does: "then: atoll lab console atoll-1" },
  ]).argument("[name]", "a machine of the lab; may be left out when there is only one");
  return command.action(async (given: string | undefined) => {
    const progress = drawProgress(context.terminal);
    const tools = await labTools(context, progress);
    const name = await onlyMachine(context, given, "atoll lab list");
    if ((await getMachine(tools.lab, name)).running) {
      context.terminal.out(`${name} runs already.`);
      context.exitWith(exitCodes.nothingToDo);
      return;
    }
    progress.step(`starting ${name}`);
    await resumeOrigin(tools);
    const { record } = await startMachine(tools, name);
    progress.done();
    const how = record.process?.accelerator === "kvm" ? "with KVM" : "emulated, which is slow";
    context.terminal.out(`${name} starts (${how}). Watch it: atoll lab console ${name}`);
  });
}
