import { open } from "node:fs/promises";
import { createConnection } from "node:net";
import type { Command } from "commander";
import { AtollError } from "../../errors.ts";
import { getMachine, type Machine } from "../../lab/machine.ts";
import { labDirectory } from "../../paths.ts";
import { type CliContext, makeCommand } from "../command.ts";
import { onlyMachine } from "../lab-tools.ts";

export function labConsoleCommand(context: CliContext): Command {
  const command = makeCommand("console", "the machine's serial console; Ctrl-] leaves it", [
    { command: "atoll lab console atoll-1", does: "watch it boot" },
  ]).argument("[name]", "a machine of the lab; may be left out when there is only one");
  return command.action(async (given: string | undefined) => {
    const name = await onlyMachine(context, given, "atoll lab list");
    const machine = await getMachine(labDirectory(context.env), name);
    if (!machine.running) throw new AtollError("LAB_NOT_RUNNING", { name });
    context.terminal.err(`${name}'s console. Ctrl-] leaves it.`);
    process.stdout.write(await recent(machine));
    await attach(machine, context.signal);
    context.terminal.err("");
  });
}

/** How much of what was said before is shown, so that one sees where the machine is. */
const recentBytes = 4096;

async function recent({ files }: Machine): Promise<Buffer> {
  const log = await open(files.consoleLog);
  try {
    const { size } = await log.stat();
    const from = Math.max(0, size - recentBytes);
    const { buffer, bytesRead } = await log.read(Buffer.alloc(size - from), 0, size - from, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await log.close();
  }
}

/** Ctrl-], as telnet and virsh have it. */
const leave = 0x1d;

/** Joins this terminal and the console until one of them ends it. */
async function attach({ record, files }: Machine, signal: AbortSignal): Promise<void> {
  const socket = createConnection(files.consoleSocket);
  const { stdin, stdout } = process;
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on("error", (error) => {
        reject(new AtollError("LAB_CONSOLE_TAKEN", { name: record.name, cause: error.message }, error));
      });
      socket.on("close", () => resolve());
      socket.pipe(stdout, { end: false });
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (stdin.isTTY) stdin.setRawMode(true);
      stdin.on("data", (typed: Buffer) => {
        if (stdin.isTTY && typed.includes(leave)) resolve();
        else socket.write(typed);
      });
      stdin.on("end", () => resolve());
    });
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.destroy();
    socket.destroy();
  }
}
