import { createReadStream } from "node:fs";
import type { Command } from "commander";
import { exitCodes, isSystemError } from "../../errors.ts";
import { getMachine } from "../../lab/machine.ts";
import { labDirectory } from "../../paths.ts";
import { type CliContext, makeCommand } from "../command.ts";
import { onlyMachine } from "../lab-tools.ts";

interface LogsOptions {
  readonly qemu?: boolean;
}

export function labLogsCommand(context: CliContext): Command {
  const command = makeCommand("logs", "what a machine said on its serial console, from its first boot on", [
    { command: "atoll lab logs atoll-1 | tail -50", does: "the end of it" },
    { command: "atoll lab logs --qemu atoll-1", does: "what QEMU itself said" },
    { command: "atoll lab ssh atoll-1 -- journalctl -b", does: "the journal of this boot" },
  ])
    .argument("[name]", "a machine of the lab; may be left out when there is only one")
    .option("--qemu", "what QEMU said in place of the machine");
  return command.action(async (given: string | undefined) => {
    const { qemu }: LogsOptions = command.opts();
    const name = await onlyMachine(context, given, "atoll lab list");
    const { files } = await getMachine(labDirectory(context.env), name);
    try {
      for await (const chunk of createReadStream(qemu ? files.qemuLog : files.consoleLog)) {
        process.stdout.write(chunk);
      }
    } catch (error) {
      if (!isSystemError(error, "ENOENT")) throw error;
      context.terminal.err(`${name} has never been started.`);
      context.exitWith(exitCodes.nothingToDo);
    }
  });
}
