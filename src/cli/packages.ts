import type { PackageDiff } from "../api/types.ts";
import { table } from "./output.ts";
import { styled, type Terminal } from "./terminal.ts";

/** Which packages differ, one a line: `+` added, `-` removed, `↑` newer, `↓` older. */
export function packageTable(packages: PackageDiff, terminal: Pick<Terminal, "columns" | "colour">): string {
  const rows = [
    ...packages.added.map(({ name, version }) => ["+", name, "", version]),
    ...packages.removed.map(({ name, version }) => ["-", name, version, ""]),
    ...packages.upgraded.map(({ name, from, to }) => ["↑", name, from, to]),
    ...packages.downgraded.map(({ name, from, to }) => ["↓", name, from, to]),
  ];
  if (rows.length === 0) return "The same packages in the same versions.";
  const [headings = "", ...lines] = table(["", "PACKAGE", "FROM", "TO"], rows, terminal.columns).split("\n");
  return [styled(terminal, "faint", headings), ...lines].join("\n");
}
