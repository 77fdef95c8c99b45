import { basename, resolve } from "node:path";
import { type Command, Option } from "commander";
import { AtollError } from "../../errors.ts";
import { createMachine } from "../../lab/machine.ts";
import { type Firmware, firmwares } from "../../lab/qemu.ts";
import { labKey } from "../../lab/ssh.ts";
import { exists } from "../../paths.ts";
import {
  addJsonOption,
  type CliContext,
  type CommonOptions,
  makeCommand,
  parseCount,
  parseMemory,
} from "../command.ts";
import { labTools } from "../lab-tools.ts";
import { json } from "../output.ts";
import { withProgress } from "../progress.ts";

interface CreateOptions extends CommonOptions {
  readonly image: string;
  readonly firmware: Firmware;
  readonly memory: string;
  readonly cpus: string;
  readonly disk: string;
  readonly port?: readonly string[];
}

const help = "atoll lab create --help";

export function labCreateCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("create", "make a machine from a disk image of your own", [
      { command: "atoll lab create box --image atoll.qcow2", does: "then: atoll lab start box" },
      { command: "atoll lab create sb --image atoll.img --firmware secureboot", does: "with Secure Boot" },
    ]),
  )
    .argument("<name>", "its host name")
    .requiredOption("--image <file>", "disk image, raw or qcow2 (see atoll image)")
    .addOption(new Option("--firmware <kind>", "how it starts").choices(firmwares).default("uefi"))
    .option("--memory <MiB>", "its memory", "1024")
    .option("--cpus <count>", "its processors", "2")
    .option("--disk <GiB>", "size of its disk", "8")
    .option("--port <guest>", "one of its ports to reach from here; may be given again", collect);
  return command.action(async (name: string) => {
    const options: CreateOptions = command.opts();
    const file = resolve(options.image);
    if (!(await exists(file))) {
      throw new AtollError("USAGE", { problem: `there is no image ${file}`, help });
    }
    const shape = {
      diskGiB: parseCount(options.disk, "--disk", help),
      memoryMiB: parseMemory(options.memory, help),
      cpus: parseCount(options.cpus, "--cpus", help),
      ports: (options.port ?? []).map((port) => ({ guest: parseCount(port, "--port", help, 65_535) })),
    };
    const { record } = await withProgress(context.terminal, async (progress) => {
      const tools = await labTools(context, progress);
      progress.step(`making ${name}`);
      return createMachine(tools, {
        name,
        image: { file, format: file.endsWith(".qcow2") ? "qcow2" : "raw", label: basename(file) },
        ...shape,
        firmware: options.firmware,
        provisioning: { hostname: name, rootKeys: [(await labKey(tools.lab)).publicKey] },
      });
    });
    context.terminal.out(options.json ? json(record) : `${name} is made. Start it: atoll lab start ${name}`);
  });
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
