import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { cacheDirectory, projectRoot, stateDirectory } from "../../paths.ts";
import { addJsonOption, type CliContext, type CommonOptions, makeCommand, parseCount } from "../command.ts";
import { json, size } from "../output.ts";
import { withProgress } from "../progress.ts";

interface ImageCommandOptions extends CommonOptions {
  readonly output?: string;
  readonly format: "raw" | "qcow2";
  readonly size: string;
  readonly remote: string;
}

export function imageCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("image", "make a bootable disk of a tree: UEFI, Secure Boot and BIOS in one", [
      {
        command: "atoll image --remote https://trees.example.org/repo",
        does: "atoll.qcow2, of os/atoll.yaml",
      },
      {
        command: "atoll image my.yaml --format raw -o my.img --remote URL",
        does: "a disk for real hardware",
      },
    ]),
  )
    .argument("[treefile]", "os/atoll.yaml when left out; composed first if it has changed")
    .requiredOption(
      "--remote <url>",
      "where machines made from it look for updates: the repository, over HTTP",
    )
    .option("-o, --output <file>", "the file to write (atoll.qcow2 or atoll.img)")
    .addOption(new Option("--format <format>", "kind of file").choices(["qcow2", "raw"]).default("qcow2"))
    .option("--size <MiB>", "size of the disk; its file system grows at boot on a larger one", "3072");
  return command.action(async (treefile: string | undefined) => {
    const options: ImageCommandOptions = command.opts();
    const megabytes = parseCount(options.size, "--size", "atoll image --help");
    const { composeTree } = await import("../../compose/compose.ts");
    const { buildImage } = await import("../../compose/image.ts");
    const { openToolbox } = await import("../../compose/toolbox.ts");
    const { signal, terminal, env } = context;
    const cache = cacheDirectory(env);
    const { result, tree } = await withProgress(terminal, async (progress) => {
      const toolbox = await openToolbox({ cache, progress, signal });
      const tree = await composeTree({
        ...{ cache, progress, signal, toolbox, state: stateDirectory(env) },
        treefile: treefile === undefined ? join(projectRoot, "os", "atoll.yaml") : resolve(treefile),
      });
      const result = await buildImage({
        ...{
          repo: tree.repository,
          ref: tree.ref,
          commit: tree.checksum,
          kernelArguments: tree.kernelArguments,
        },
        output: resolve(options.output ?? (options.format === "raw" ? "atoll.img" : "atoll.qcow2")),
        ...{ format: options.format, size: megabytes, remoteUrl: options.remote },
        ...{ toolbox, progress, signal },
      });
      return { result, tree };
    });
    terminal.out(
      options.json
        ? json({ ...result, version: tree.version })
        : `${result.output} boots ${tree.ref} ${tree.version} (${size(result.size)}).`,
    );
  });
}
