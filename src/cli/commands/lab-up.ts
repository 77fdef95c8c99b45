import { join, relative } from "node:path";
import { type Command, Option } from "commander";
import { hostClient } from "../../api/client.ts";
import { type Firmware, firmwares } from "../../lab/qemu.ts";
import { labTarget, openApiSocket } from "../../lab/ssh.ts";
import type { UpMachine, UpResult } from "../../lab/up.ts";
import { cacheDirectory, labDirectory, projectRoot, stateDirectory } from "../../paths.ts";
import {
  addJsonOption,
  type CliContext,
  type CommonOptions,
  makeCommand,
  parseCount,
  parseMemory,
} from "../command.ts";
import { json, wrap } from "../output.ts";
import { withProgress } from "../progress.ts";
import { statusText } from "../status-text.ts";
import { styled } from "../terminal.ts";

interface UpCommandOptions extends CommonOptions {
  readonly machines: string;
  readonly firmware: Firmware;
  readonly memory: string;
  readonly cpus: string;
  readonly disk: string;
  readonly treefile?: string;
}

export function labUpCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("up", "a host of your own: compose, boot, provision, run a container", [
      { command: "atoll lab up", does: "what `npm start` does" },
      { command: "atoll lab up --firmware secureboot", does: "the same with Secure Boot" },
      { command: "atoll lab up --machines 3", does: "atoll-1 to atoll-3" },
    ]),
  )
    .option("--machines <count>", "how many", "1")
    .addOption(new Option("--firmware <kind>", "how a new machine starts").choices(firmwares).default("uefi"))
    .option("--memory <MiB>", "memory of a new machine", "1024")
    .option("--cpus <count>", "processors of a new machine", "2")
    .option("--disk <GiB>", "size of a new machine's disk", "8")
    .option("--treefile <file>", "what it is made of (os/atoll.yaml)");
  return command.action(async () => {
    const options: UpCommandOptions = command.opts();
    const count = (text: string, option: string): number => parseCount(text, option, "atoll lab up --help");
    const names = Array.from(
      { length: count(options.machines, "--machines") },
      (_, index) => `atoll-${index + 1}`,
    );
    const started = performance.now();
    const { labUp } = await import("../../lab/up.ts");
    const result = await withProgress(context.terminal, (progress) =>
      labUp({
        cache: cacheDirectory(context.env),
        state: stateDirectory(context.env),
        treefile: options.treefile ?? join(projectRoot, "os", "atoll.yaml"),
        ...{ names, firmware: options.firmware },
        memoryMiB: parseMemory(options.memory, "atoll lab up --help"),
        cpus: count(options.cpus, "--cpus"),
        diskGiB: count(options.disk, "--disk"),
        ...{ env: context.env, progress, signal: context.signal },
        say: (line) => progress.note(line),
      }),
    );
    if (options.json) context.terminal.out(json(result));
    else await showResult(context, result, performance.now() - started);
  });
}

async function showResult(context: CliContext, result: UpResult, milliseconds: number): Promise<void> {
  const { terminal } = context;
  for (const note of result.composed.notes) terminal.err(wrap(`note: ${note}`, terminal.columns));
  for (const each of result.machines) {
    terminal.out("");
    terminal.out(await machineText(context, each, result));
  }
  terminal.out(nextSteps(context, result));
  terminal.err(styled(terminal, "faint", `\n${Math.round(milliseconds / 1000)} s`));
}

async function machineText(context: CliContext, { machine, page }: UpMachine, up: UpResult): Promise<string> {
  const { record } = machine;
  const socketPath = await openApiSocket(labTarget(labDirectory(context.env), record), context.signal);
  const status = await hostClient({ name: record.name, socketPath, signal: context.signal }).status();
  const lines = [statusText(status, context.terminal, Date.now()), ""];
  if (page) lines.push(`  ${"page".padEnd(10)}${styled(context.terminal, "strong", page)}`);
  lines.push(`  ${"log in".padEnd(10)}${atoll()} lab ssh ${record.name}`);
  const booted = status.deployments.find((deployment) => deployment.booted);
  if (booted && booted.checksum !== up.composed.checksum) {
    lines.push(
      `  ${"newer".padEnd(10)}${up.composed.version} is composed: ${atoll()} upgrade --reboot --wait`,
    );
  }
  return lines.join("\n");
}

/** The command as one types it where one stands. */
function atoll(): string {
  const path = relative(process.cwd(), join(projectRoot, "atoll"));
  return path.includes("/") ? path : `./${path}`;
}

function nextSteps({ terminal }: CliContext, { machines }: UpResult): string {
  const host = machines.length > 1 ? ` --host ${machines[0]?.machine.record.name}` : "";
  const go = `${atoll()} upgrade --reboot --wait${host}`;
  const examples = relative(process.cwd(), join(projectRoot, "examples"));
  return [
    "",
    styled(terminal, "strong", "Try next:"),
    "  update it",
    // Two lines: composing what is the newest already has an exit code that && would stop at.
    `    ${atoll()} compose ${join(examples, "hello.yaml")}`,
    `    ${go}`,
    "  break it",
    `    ${atoll()} compose ${join(examples, "broken.yaml")}`,
    `    ${go}`,
    "  see how it went back by itself",
    `    ${atoll()} host history${host}`,
    "",
    `It stays up until: ${atoll()} lab stop`,
  ].join("\n");
}
