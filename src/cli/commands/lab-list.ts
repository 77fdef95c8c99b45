import type { Command } from "commander";
import { listMachines, type Machine } from "../../lab/machine.ts";
import { machineNames } from "../../lab/record.ts";
import { labDirectory } from "../../paths.ts";
import { addJsonOption, type CliContext, type CommonOptions, makeCommand } from "../command.ts";
import { duration, json, table } from "../output.ts";

export function labListCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("list", "list the lab's machines", [
      { command: "atoll lab list", does: "name, state, ports" },
      { command: "atoll lab list --json", does: "all that is known of them" },
    ]),
  );
  return command.action(async () => {
    const { json: asJson }: CommonOptions = command.opts();
    const lab = labDirectory(context.env);
    const machines = await listMachines(lab);
    const { terminal } = context;
    const listed = new Set(machines.map(({ record }) => record.name));
    for (const name of await machineNames(lab)) {
      if (!listed.has(name)) terminal.err(`note: the record of ${name} is damaged; atoll lab remove ${name}`);
    }
    if (asJson) terminal.out(json(machines));
    else if (machines.length === 0) terminal.out("The lab has no machines. Make one: atoll lab up");
    else
      terminal.out(
        table(["NAME", "STATE", "IMAGE", "FIRMWARE", "SSH", "PORTS"], machines.map(row), terminal.columns),
      );
  });
}

function row({ record, running }: Machine): string[] {
  const up = record.process ? duration(Date.now() - Date.parse(record.process.startedAt)) : "";
  return [
    record.name,
    running ? `up ${up} (${record.process?.accelerator ?? ""})` : "stopped",
    record.image,
    record.firmware,
    String(record.sshPort),
    record.forwards.map(({ host, guest }) => `${host}→${guest}`).join(" "),
  ];
}
