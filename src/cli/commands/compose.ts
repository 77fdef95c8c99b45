import { join, resolve } from "node:path";
import type { Command } from "commander";
import type { ComposeResult } from "../../compose/compose.ts";
import { exitCodes } from "../../errors.ts";
import { cacheDirectory, projectRoot, stateDirectory } from "../../paths.ts";
import { addJsonOption, type CliContext, type CommonOptions, makeCommand } from "../command.ts";
import { json, wrap } from "../output.ts";
import { withProgress } from "../progress.ts";
import { composeDiffCommand } from "./compose-diff.ts";

interface ComposeCommandOptions extends CommonOptions {
  readonly release?: string;
  readonly updateLock?: boolean;
}

export function composeCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("compose", "make a tree from a treefile: a signed, bootable version of the host", [
      { command: "atoll compose", does: "os/atoll.yaml" },
      { command: "atoll compose examples/hello.yaml", does: "your own, which includes it" },
      { command: "atoll compose --update-lock", does: "with Debian's newest packages" },
      { command: "atoll compose diff 20261121.1 20261122.1", does: "what changed between two versions" },
    ]),
  )
    .argument("[treefile]", "os/atoll.yaml when left out")
    .addCommand(composeDiffCommand(context))
    .option("--release <version>", "the version to give; made from the date when left out")
    .option("--update-lock", "look for newer packages, and write the lock file anew");
  return command.action(async (treefile: string | undefined) => {
    const options: ComposeCommandOptions = command.opts();
    const { composeTree } = await import("../../compose/compose.ts");
    const { openToolbox } = await import("../../compose/toolbox.ts");
    const cache = cacheDirectory(context.env);
    const { signal } = context;
    const result = await withProgress(context.terminal, async (progress) =>
      composeTree({
        ...{ cache, progress, signal, state: stateDirectory(context.env) },
        treefile: treefile === undefined ? join(projectRoot, "os", "atoll.yaml") : resolve(treefile),
        toolbox: await openToolbox({ cache, progress, signal }),
        ...(options.release !== undefined && { version: options.release }),
        ...(options.updateLock && { updateLock: true }),
      }),
    );
    show(context, result, options);
    if (result.unchanged) context.exitWith(exitCodes.nothingToDo);
  });
}

function show({ terminal }: CliContext, result: ComposeResult, options: CommonOptions): void {
  if (options.json) {
    terminal.out(json(result));
    return;
  }
  for (const note of result.notes) terminal.err(wrap(`note: ${note}`, terminal.columns));
  const state = result.unchanged ? "is the newest already: nothing has changed since" : "is composed";
  terminal.out(
    [
      `${result.ref} ${result.version} ${state}.`,
      `  commit      ${result.checksum}`,
      `  repository  ${result.repository}`,
      `  packages    ${result.lock.packages}, as ${result.lock.file} says${result.lock.written ? " (written anew)" : ""}`,
    ].join("\n"),
  );
}
