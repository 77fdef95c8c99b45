import type { Command } from "commander";
import type { HistoryEntry } from "../../api/types.ts";
import { type CliContext, type CommonOptions, makeHostCommand, parseCount, withHost } from "../command.ts";
import { json, localTime, wrap } from "../output.ts";
import { type Style, styled, type Terminal } from "../terminal.ts";

interface HistoryOptions extends CommonOptions {
  readonly limit: string;
}

/** As many as the API gives at once. */
const mostEntries = 9999;

export function historyCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "history", "show every boot, update and fallback, with reasons", [
    { command: "atoll host history", does: "the last twenty" },
    { command: "atoll host history --limit 200 --json", does: "more, for programs" },
  ]).option("-n, --limit <count>", "how many", "20");
  return command.action(async () => {
    const options: HistoryOptions = command.optsWithGlobals();
    const limit = parseCount(options.limit, "--limit", "atoll host history --help", mostEntries);
    await withHost(context, command, async ({ client }) => {
      const history = await client.history(limit);
      const { terminal } = context;
      if (options.json) terminal.out(json(history));
      // The newest is last, where the eye is when the prompt comes back.
      else
        terminal.out(
          history.entries
            .toReversed()
            .map((entry) => entryText(entry, terminal))
            .join("\n"),
        );
    });
  });
}

const indent = " ".repeat(18);

function entryText(entry: HistoryEntry, terminal: Terminal): string {
  const first = wrap(entry.summary, terminal.columns, indent).slice(indent.length);
  const reasons = entry.reasons.map((reason) => wrap(`- ${reason}`, terminal.columns, indent));
  const conflicts = entry.conflicts.map(({ path }) =>
    wrap(`- conflict in ${path}: yours stayed`, terminal.columns, indent),
  );
  const time = styled(terminal, "faint", localTime(entry.at));
  return [`${time}  ${styledSummary(entry, first, terminal)}`, ...reasons, ...conflicts].join("\n");
}

function styledSummary(entry: HistoryEntry, text: string, terminal: Terminal): string {
  const styles: Partial<Record<HistoryEntry["kind"], Style>> = {
    fallback: "bad",
    refused: "warn",
    interrupted: "warn",
    boot: "strong",
  };
  const style = styles[entry.kind];
  return style ? styled(terminal, style, text) : text;
}
