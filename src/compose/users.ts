import { AtollError } from "../errors.ts";

/** A line of passwd(5) or group(5), split at its colons. Field 0 is the name, field 2 the id. */
export type Entry = readonly string[];

/** The users and groups whose ids never move, in the order of their ids. */
export interface PinnedIds {
  readonly users: readonly Entry[];
  readonly groups: readonly Entry[];
}

/**
 * Parses passwd(5) or group(5) text; `fields` is 7 or 4. Empty lines and lines that begin with # are skipped.
 * Errors: IDS_INVALID with file and line.
 */
export function parseEntries(file: string, text: string, fields: 7 | 4): Entry[] {
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "" || line.startsWith("#")) return [];
    const entry = line.split(":");
    if (entry.length !== fields || !entry[0] || !/^\d+$/.test(entry[2] ?? "")) {
      throw new AtollError("IDS_INVALID", {
        file,
        line: index + 1,
        problem: `not ${fields} fields with a name and an id`,
      });
    }
    return [entry];
  });
}

/** Entries as text, one a line, the lowest id first. */
export function formatEntries(entries: readonly Entry[]): string {
  return byId(entries)
    .map((entry) => `${entry.join(":")}\n`)
    .join("");
}

function byId(entries: readonly Entry[]): Entry[] {
  return entries.toSorted((a, b) => Number(a[2]) - Number(b[2]) || ((a[0] ?? "") < (b[0] ?? "") ? -1 : 1));
}

/**
 * Joins baselines; the first to name a user or a group decides. Errors: IDS_CONFLICT when two names share an id, as a
 * later one would then own the files of the other.
 */
export function joinEntries(...lists: readonly (readonly Entry[])[]): Entry[] {
  const byName = new Map<string, Entry>();
  for (const entry of lists.flat()) if (!byName.has(entry[0] ?? "")) byName.set(entry[0] ?? "", entry);
  const owners = new Map<string, string>();
  for (const [name, entry] of byName) {
    const id = entry[2] ?? "";
    const other = owners.get(id);
    if (other !== undefined) throw new AtollError("IDS_CONFLICT", { id, first: other, second: name });
    owners.set(id, name);
  }
  return byId([...byName.values()]);
}

/**
 * Lines of passwd(5) or group(5): those of the lock below first, as they hold for all trees of its stream, then those of
 * names that only the treefile's own lock pins.
 */
export function joinLines(below: readonly string[] = [], own: readonly string[] = []): string[] {
  const nameOf = (line: string) => line.split(":", 1)[0];
  const names = new Set(below.map(nameOf));
  return [...below, ...own.filter((line) => !names.has(nameOf(line)))];
}

/** What the packages made of the pinned ids: names that no baseline pins, and names whose id moved all the same. */
export function compareEntries(
  pinned: readonly Entry[],
  found: readonly Entry[],
): { fresh: Entry[]; moved: { name: string; from: string; to: string }[] } {
  const ids = new Map(pinned.map((entry) => [entry[0] ?? "", entry[2] ?? ""]));
  const fresh: Entry[] = [];
  const moved: { name: string; from: string; to: string }[] = [];
  for (const entry of found) {
    const [name = "", , to = ""] = entry;
    const from = ids.get(name);
    if (from === undefined) fresh.push(entry);
    else if (from !== to) moved.push({ name, from, to });
  }
  return { fresh, moved };
}
