import type { Command } from "commander";
import { exitCodes } from "../../errors.ts";
import { getMachine, startMachine } from "../../lab/machine.ts";
import { resumeOrigin } from "../../lab/origin.ts";
import { addJsonOption, type CliContext, type CommonOptions, makeCommand } from "../command.ts";
import { labContext, labTools, onlyMachine } from "../lab-tools.ts";
import { json } from "../output.ts";
import { withProgress } from "../progress.ts";

export function labStartCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("start", "start a machine; it runs until it is stopped", [
      { command: "atoll lab start atoll-1", does: "then: atoll lab console atoll-1" },
    ]),
  ).argument("[name]", "a machine of the lab; may be left out when there is only one");
  return command.action(async (given: string | undefined) => {
    const { json: asJson }: CommonOptions = command.opts();
    const { terminal } = context;
    const name = await onlyMachine(context, given, "atoll lab list");
    const before = await getMachine(labContext(context).lab, name);
    if (before.running) {
      terminal.out(asJson ? json(before) : `${name} runs already.`);
      context.exitWith(exitCodes.nothingToDo);
      return;
    }
    const machine = await withProgress(terminal, async (progress) => {
      const tools = await labTools(context, progress);
      progress.step(`starting ${name}`);
      await resumeOrigin(tools);
      return startMachine(tools, name);
    });
    const how = machine.record.process?.accelerator === "kvm" ? "with KVM" : "emulated, which is slow";
    const text = `${name} starts (${how}). Watch it: atoll lab console ${name}`;
    terminal.out(asJson ? json(machine) : text);
  });
}
