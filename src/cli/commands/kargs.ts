import type { Command } from "commander";
import { addRebootOptions, changeHost, type RebootOptions } from "../change.ts";
import { type CliContext, type CommonOptions, makeHostCommand, misuse, withHost } from "../command.ts";
import { json } from "../output.ts";

interface KargsOptions extends CommonOptions, RebootOptions {
  readonly append?: readonly string[];
  readonly delete?: readonly string[];
  readonly replace?: readonly string[];
  readonly again?: boolean;
}

export function kargsCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "kargs", "show or change the kernel's arguments, on trial", [
    { command: "atoll host kargs", does: "show those that run" },
    { command: "atoll host kargs --append quiet --delete nosmt", does: "change several at once, or none" },
    { command: "atoll host kargs --replace panic=10 --reboot", does: "and go there now" },
  ])
    .option("--append <key[=value]>", "add one; may be given again", collect)
    .option("--delete <key[=value]>", "remove one; may be given again", collect)
    .option("--replace <key=[old=]new>", "give one another value; may be given again", collect)
    .option("--again", "try them although they are remembered as bad");
  return addRebootOptions(command).action(async () => {
    const options: KargsOptions = command.optsWithGlobals();
    const changes = {
      ...(options.append && { append: options.append }),
      ...(options.delete && { delete: options.delete }),
      ...(options.replace && { replace: options.replace }),
    };
    if (Object.keys(changes).length === 0) {
      if (options.again || options.reboot || options.wait) {
        throw misuse(command, "--again, --reboot and --wait go with --append, --delete or --replace");
      }
      return showKargs(context, command);
    }
    const body = {
      ...changes,
      ...(options.again && { again: true }),
      ...(options.reboot && { reboot: true }),
    };
    await changeHost(context, command, "kargs", body, options);
  });
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function showKargs(context: CliContext, command: Command): Promise<void> {
  await withHost(context, command, async ({ client }, options) => {
    const { deployments } = await client.status();
    const words = deployments.find(({ booted }) => booted)?.kernelArguments ?? [];
    context.terminal.out(options.json ? json(words) : words.join("\n"));
  });
}
