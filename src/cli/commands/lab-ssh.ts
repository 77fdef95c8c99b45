import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Command } from "commander";
import { AtollError, exitCodes } from "../../errors.ts";
import { getMachine } from "../../lab/machine.ts";
import { labTarget, sshCommand } from "../../lab/ssh.ts";
import { labDirectory } from "../../paths.ts";
import { type CliContext, makeCommand } from "../command.ts";
import { onlyMachine } from "../lab-tools.ts";

export function labSshCommand(context: CliContext): Command {
  const command = makeCommand("ssh", "log in to a machine as root, or run a command there", [
    { command: "atoll lab ssh", does: "the only machine" },
    { command: "atoll lab ssh atoll-1 -- podman ps", does: "one command" },
  ])
    .argument("[name]", "a machine of the lab; may be left out when there is only one")
    .argument("[command...]", "runs there in place of a shell")
    .passThroughOptions();
  return command.action(async (given: string | undefined, words: string[]) => {
    const name = await onlyMachine(context, given, "atoll lab list");
    const lab = labDirectory(context.env);
    const { record, running } = await getMachine(lab, name);
    if (!running) throw new AtollError("LAB_NOT_RUNNING", { name });
    const [program, ...rest] = sshCommand(labTarget(lab, record), "-o", "LogLevel=ERROR");
    const child = spawn(program, [...rest, ...words], { stdio: "inherit" });
    const [code]: (number | null)[] = await once(child, "exit");
    context.exitWith(code ?? exitCodes.failed);
  });
}
