import { join } from "node:path";
import type { Command } from "commander";
import type { CommitDiff, ExplainedChange } from "../../compose/diff.ts";
import { exitCodes } from "../../errors.ts";
import { cacheDirectory, stateDirectory } from "../../paths.ts";
import { addJsonOption, type CliContext, type CommonOptions, makeCommand } from "../command.ts";
import { json, wrap } from "../output.ts";
import { packageTable } from "../packages.ts";
import { withProgress } from "../progress.ts";
import { styled, type Terminal } from "../terminal.ts";

interface DiffOptions extends CommonOptions {
  readonly short?: boolean;
}

export function composeDiffCommand(context: CliContext): Command {
  const command = addJsonOption(
    makeCommand("diff", "what changed between two composed versions: packages, changelogs, CVEs", [
      { command: "atoll compose diff 20261121.1 20261122.1", does: "two versions" },
      { command: "atoll compose diff 3f2a9c1 9b01d44 --short", does: "two commits, packages only" },
    ]),
  )
    .argument("<from>", "a version, or the first seven or more digits of a commit")
    .argument("<to>", "the same")
    .option("--short", "leave the changelogs out");
  return command.action(async (from: string, to: string) => {
    // Options that `compose` has too are read by it.
    const options: DiffOptions = command.optsWithGlobals();
    const { diffCommits } = await import("../../compose/diff.ts");
    const { openToolbox } = await import("../../compose/toolbox.ts");
    const { terminal, signal, env } = context;
    const cache = cacheDirectory(env);
    const diff = await withProgress(terminal, async (progress) =>
      diffCommits({
        ...{ from, to, cache, progress, signal },
        repository: join(stateDirectory(env), "repo"),
        toolbox: await openToolbox({ cache, progress, signal }),
      }),
    );
    terminal.out(options.json ? json(diff) : diffText(diff, options.short === true, terminal));
    if (diff.from.checksum === diff.to.checksum) context.exitWith(exitCodes.nothingToDo);
  });
}

/** A difference for a person: the packages, then what their changelogs say. */
export function diffText(
  diff: CommitDiff,
  short: boolean,
  terminal: Pick<Terminal, "columns" | "colour">,
): string {
  const parts = [
    styled(terminal, "strong", `${diff.from.version} → ${diff.to.version}`),
    packageTable(diff, terminal),
  ];
  if (diff.cves.length > 0) parts.push(wrap(mends(diff), terminal.columns));
  if (!short) {
    for (const group of togetherBuilt([...diff.upgraded, ...diff.downgraded]))
      parts.push(changelog(group, terminal));
  }
  return parts.filter((part) => part !== "").join("\n\n");
}

/** More than these are counted, not listed: a new kernel alone names hundreds. */
const listedCves = 24;
/** A kernel's entry has thousands of lines. */
const shownLines = 40;

function mends(diff: CommitDiff): string {
  if (diff.cves.length <= listedCves) return `Mends: ${diff.cves.join(", ")}`;
  const counts = togetherBuilt(diff.upgraded)
    .flatMap(([change]) =>
      change && change.cves.length > 0 ? [{ name: change.name, count: change.cves.length }] : [],
    )
    .toSorted((a, b) => b.count - a.count)
    .map(({ name, count }) => `${name} ${count}`);
  return `Mends ${diff.cves.length} CVEs (--json names them): ${counts.join(", ")}`;
}

/** Changes between the same two versions with the same changelog: packages that one source builds. */
function togetherBuilt(changes: readonly ExplainedChange[]): ExplainedChange[][] {
  const groups = new Map<string, ExplainedChange[]>();
  for (const change of changes) {
    const key = JSON.stringify([change.from, change.to, change.entries]);
    groups.set(key, [...(groups.get(key) ?? []), change]);
  }
  return [...groups.values()];
}

function changelog(
  group: readonly ExplainedChange[],
  terminal: Pick<Terminal, "columns" | "colour">,
): string {
  const [first] = group;
  if (first === undefined) return "";
  const names = group.map(({ name }) => name).join(", ");
  const heading = styled(terminal, "strong", `${names} ${first.from} → ${first.to}`);
  if (first.entries === null) return `${heading}\n  its changelog is not at hand`;
  const entries = first.entries.map(({ version, date, text }) => {
    const lines = text.trimEnd().split("\n");
    const more = lines.length - shownLines;
    const shown =
      more > 0 ? [...lines.slice(0, shownLines), `… and ${more} more lines (--json has them)`] : lines;
    const body = shown.map((line) => (line === "" ? "" : `    ${line}`)).join("\n");
    return `  ${version}  ${styled(terminal, "faint", date)}\n${body}`;
  });
  return [heading, ...entries].join("\n");
}
