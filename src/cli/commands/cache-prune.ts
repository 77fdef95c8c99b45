import type { Command } from "commander";
import type { Pruned } from "../../compose/prune.ts";
import { durationPattern, parseDuration } from "../../duration.ts";
import { exitCodes } from "../../errors.ts";
import { cacheDirectory } from "../../paths.ts";
import { byKind, bytesOf, counted } from "../cache-kinds.ts";
import { addJsonOption, type CliContext, type CommonOptions, makeCommand, misuse } from "../command.ts";
import { json, size } from "../output.ts";
import { withProgress } from "../progress.ts";

interface PruneCommandOptions extends CommonOptions {
  readonly olderThan: string;
  readonly dryRun?: boolean;
}

export function cachePruneCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("prune", "remove from the cache what nothing has used for a while; what is in use stays", [
      { command: "atoll cache prune --dry-run", does: "only tell what would go" },
      { command: "atoll cache prune --older-than 7d", does: "also what was used a week ago" },
    ]),
  )
    .option("--older-than <time>", "unused for so long, such as 12h or 7d", "30d")
    .option("--dry-run", "remove nothing; exit code 77 when there is nothing to remove");
  return command.action(async () => {
    const { olderThan, dryRun = false, json: asJson }: PruneCommandOptions = command.opts();
    if (!new RegExp(durationPattern).test(olderThan)) {
      throw misuse(command, `--older-than is "${olderThan}", not a duration such as 90s, 5min, 12h or 30d`);
    }
    const cache = cacheDirectory(context.env);
    const { previewPrune, pruneCache } = await import("../../compose/prune.ts");
    const pruned = await withProgress(context.terminal, (progress) => {
      progress.step("looking at what is in the cache");
      const { signal } = context;
      return (dryRun ? previewPrune : pruneCache)({
        ...{ cache, progress, signal, olderThan: parseDuration(olderThan) },
      });
    });
    const { removed, kept } = pruned;
    if (asJson) context.terminal.out(json({ cache, dryRun, bytes: bytesOf(removed), removed, kept }));
    else context.terminal.out(prunedText(pruned, cache, olderThan, dryRun).join("\n"));
    if (removed.length === 0) context.exitWith(exitCodes.nothingToDo);
  });
}

function prunedText({ removed, kept }: Pruned, cache: string, olderThan: string, dryRun: boolean): string[] {
  const stays = kept.map(({ name, inUse }) => `kept ${name}: ${inUse}`);
  if (removed.length === 0)
    return [...stays, `Nothing in ${cache} goes: all was used within ${olderThan}, or is in use.`];
  const verb = dryRun ? "would remove" : "removed";
  const gone = byKind(removed).map(
    ([kind, entries]) => `${verb} ${counted(kind, entries.length)}, ${size(bytesOf(entries))}`,
  );
  return [...gone, ...stays, `${size(bytesOf(removed))} ${dryRun ? "would be" : "were"} freed in ${cache}`];
}
