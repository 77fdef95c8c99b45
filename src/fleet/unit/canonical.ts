/** fleet's form of a unit: a list of options, its text, and the hash of that. */
import { createHash } from "node:crypto";
import { optionsOf, type UnitFile } from "./parse.ts";

/** An option as fleet's API has it. */
export interface UnitOption {
  readonly section: string;
  readonly name: string;
  readonly value: string;
}

/** The options of a file, in its order, with values as fleet kept them. */
export function unitOptions(unitFile: UnitFile): UnitOption[] {
  return optionsOf(unitFile).map(({ section, name, written }) => ({ section, name, value: written }));
}

/**
 * fleet's serialisation: sections in the order in which they were first seen, each once, a blank line between them.
 * No comments. Empty for no options.
 */
export function serialiseOptions(options: readonly UnitOption[]): string {
  const sections = Map.groupBy(options, ({ section }) => section);
  const texts = Array.from(sections, ([section, members]) => {
    const lines = members.map(({ name, value }) => `${name}=${value}\n`);
    return `[${section}]\n${lines.join("")}`;
  });
  return texts.join("\n");
}

/**
 * The canonical text of a unit: fleet's serialisation and, below it, that of each drop-in under a comment with its
 * folder and name, in the order in which they apply. Without drop-ins it is fleet's to the byte.
 */
export function canonicalText(main: UnitFile, dropIns: readonly UnitFile[]): string {
  const parts = dropIns.map((part) => {
    // Where the folder itself lay when the file was sent makes no other unit of it.
    const path = part.file.split("/").slice(-2).join("/");
    return `\n# ${path}\n${serialiseOptions(unitOptions(part))}`;
  });
  return serialiseOptions(unitOptions(main)) + parts.join("");
}

/** Names a unit's content: two units with the same options have the same hash. SHA-1, as fleet's clients show it. */
export function unitHash(canonical: string): string {
  return createHash("sha1").update(canonical).digest("hex");
}

/** What fleet's clients show of a hash. */
export function shortHash(hash: string): string {
  return hash.slice(0, 7);
}
