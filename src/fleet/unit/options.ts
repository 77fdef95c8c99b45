/** The options that hold for a unit, of its file and its drop-ins together, as systemd adds them up. */
import { dropInFolders, type UnitName } from "./names.ts";
import { type OptionEntry, optionsOf, placeInValue, type UnitFile } from "./parse.ts";
import { type Problem, problem } from "./problem.ts";
import { splitWords } from "./words.ts";

/** A word of a value, and where it stands. */
export interface PlacedWord {
  readonly text: string;
  readonly place: { readonly file: string; readonly line: number; readonly column: number };
}

/** Dependencies, which systemd never takes back: an empty assignment does nothing. */
const onlyGrowing: ReadonlySet<string> = new Set(
  [
    "Requires Requisite Wants BindsTo PartOf Upholds Conflicts Before After OnFailure OnSuccess",
    "PropagatesReloadTo ReloadPropagatedFrom PropagatesStopTo StopPropagatedFrom JoinsNamespaceOf RequiresMountsFor WantsMountsFor",
  ].flatMap((names) => names.split(" ")),
);

/** All options of a unit in the order in which they apply: the file's own, then those of each drop-in. */
export class Options {
  private readonly entries: ReadonlyMap<string, readonly OptionEntry[]>;

  constructor(files: readonly UnitFile[]) {
    this.entries = Map.groupBy(files.flatMap(optionsOf), ({ section, name }) => keyOf(section, name));
  }

  /** Every option once, in the order of first mention. */
  keys(): { section: string; name: string; first: OptionEntry }[] {
    return [...this.entries.values()].flatMap(([first]) =>
      first === undefined ? [] : [{ section: first.section, name: first.name, first }],
    );
  }

  has(section: string): boolean {
    return this.keys().some((key) => key.section === section);
  }

  /** Every assignment, also those that a later one takes back. */
  assignments(section: string, name: string): readonly OptionEntry[] {
    return this.entries.get(keyOf(section, name)) ?? [];
  }

  /** The assignments of a list that hold: an empty one takes back all before it, except in dependencies. */
  list(section: string, name: string): readonly OptionEntry[] {
    const all = this.assignments(section, name);
    if (section === "Unit" && onlyGrowing.has(name)) return all.filter(({ value }) => value !== "");
    return all.slice(all.findLastIndex(({ value }) => value === "") + 1);
  }

  /** The assignment of a single value that holds: the last. Null when there is none or when it is empty. */
  single(section: string, name: string): OptionEntry | null {
    return this.list(section, name).at(-1) ?? null;
  }
}

function keyOf(section: string, name: string): string {
  return `${section}\n${name}`;
}

/** The words of an option's value; a quote that is not closed goes to `problems`, and there are no words then. */
export function wordsOf(
  option: OptionEntry,
  problems: Problem[],
  settings: { keepEscapes?: boolean } = {},
): PlacedWord[] {
  const { words, unknownEscapes, unbalanced } = splitWords(option.value, settings);
  if (unbalanced !== null) {
    problems.push(problem("error", "UNIT_QUOTING", placeInValue(option, unbalanced), { key: option.name }));
    return [];
  }
  for (const offset of unknownEscapes) {
    problems.push(problem("warning", "UNIT_ESCAPE", placeInValue(option, offset), { key: option.name }));
  }
  return words.map(({ text, offset }) => ({ text, place: placeInValue(option, offset) }));
}

/**
 * The drop-ins that apply to `name`, in the order in which they do: by file name, whatever folder they are in; of two
 * with the same file name the one in the more specific folder counts, so an empty one there takes the other back.
 * A file that is no drop-in of the unit goes to `problems`.
 */
export function applicableDropIns(
  name: UnitName,
  files: readonly UnitFile[],
  problems: Problem[],
): UnitFile[] {
  const folders = dropInFolders(name);
  const chosen = new Map<string, { readonly rank: number; readonly file: UnitFile }>();
  for (const file of files) {
    const [folder = "", base = ""] = file.file.split("/").slice(-2);
    const rank = folders.indexOf(folder);
    if (rank < 0 || !base.endsWith(".conf") || base.startsWith(".")) {
      const parameters = { file: file.file, unit: name.full, folder: `${name.full}.d` };
      problems.push(
        problem("error", "UNIT_DROPIN_FOREIGN", { file: file.file, line: 1, column: 1 }, parameters),
      );
      continue;
    }
    const other = chosen.get(base);
    if (other === undefined || rank < other.rank) chosen.set(base, { rank, file });
  }
  // By code units, as strcmp() orders these names, not by anyone's language.
  const ordered = [...chosen].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return ordered.map(([, { file }]) => file);
}
