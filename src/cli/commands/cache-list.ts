import type { Command } from "commander";
import type { CacheEntry, CacheKind } from "../../compose/cache.ts";
import { cacheDirectory } from "../../paths.ts";
import { byKind, bytesOf, counted } from "../cache-kinds.ts";
import { addJsonOption, type CliContext, type CommonOptions, makeCommand } from "../command.ts";
import { json, localTime, size, table } from "../output.ts";

export function cacheListCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("list", "show what is in the cache: sizes, last use, what is in use", [
      { command: "atoll cache list", does: "by kind" },
      { command: "atoll cache list --json", does: "each thing" },
    ]),
  );
  return command.action(async () => {
    const { json: asJson }: CommonOptions = command.opts();
    const cache = cacheDirectory(context.env);
    const { listCache } = await import("../../compose/cache.ts");
    const entries = await listCache(cache, context.signal);
    const { terminal } = context;
    if (asJson) {
      terminal.out(json({ cache, bytes: bytesOf(entries), entries }));
      return;
    }
    if (entries.length > 0) {
      terminal.out(
        table(["WHAT", "SIZE", "IN USE", "LAST USED"], byKind(entries).map(row), terminal.columns),
      );
    }
    terminal.out(`${size(bytesOf(entries))} in ${cache}`);
  });
}

function row([kind, entries]: readonly [CacheKind, readonly CacheEntry[]]): string[] {
  const used = entries.map(({ usedAt }) => usedAt).toSorted();
  const inUse = entries.filter((entry) => entry.inUse !== null).length;
  return [
    counted(kind, entries.length),
    size(bytesOf(entries)),
    inUse > 0 ? String(inUse) : "",
    localTime(used.at(-1) ?? ""),
  ];
}
