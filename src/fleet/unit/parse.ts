/**
 * Unit files as systemd 252 and later read them (systemd.syntax(7), src/shared/conf-parser.c): every byte is kept, so
 * that what was read can be written again, with the place of every name and value.
 */
import { type Position, type Problem, problem } from "./problem.ts";

/** Longest line that systemd reads (LONG_LINE_MAX), in bytes; also of a line with all that continues it. */
export const longestLine = 1024 * 1024;

/** Some characters of a value that stand together in the file, from `offset` of the value on. */
interface Piece extends Position {
  readonly offset: number;
}

export interface OptionEntry extends Position {
  readonly kind: "option";
  readonly raw: string;
  /** Unit name or path of the drop-in that holds it. */
  readonly file: string;
  readonly section: string;
  readonly name: string;
  /** The value as systemd reads it: continued lines joined, comments among them left out, trimmed. */
  readonly value: string;
  /** The value as fleet kept it: continued lines stay lines. Hashes are made of this. */
  readonly written: string;
  readonly pieces: readonly Piece[];
}

/** One line of a file, or several when they are continued. The `raw` of all entries, joined, is the file. */
export type Entry =
  | OptionEntry
  | (Position & { readonly kind: "section"; readonly raw: string; readonly name: string })
  | (Position & { readonly kind: "blank" | "comment" | "ignored"; readonly raw: string });

export interface UnitFile {
  readonly file: string;
  readonly entries: readonly Entry[];
}

/** The text that `unitFile` was read from. */
export function fileText(unitFile: UnitFile): string {
  return unitFile.entries.map(({ raw }) => raw).join("");
}

/** The options in the order of the file. */
export function optionsOf(unitFile: UnitFile): OptionEntry[] {
  return unitFile.entries.filter((entry) => entry.kind === "option");
}

/** Where the character `offset` of an option's value stands in its file. */
export function placeInValue(option: OptionEntry, offset: number): Position & { file: string } {
  return { file: option.file, ...positionIn(option.pieces, offset) };
}

/** Found by halves: a value may have as many pieces as words, and each word asks for its place. */
function positionIn(pieces: readonly Piece[], offset: number): Position {
  let [low, high] = [0, pieces.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((pieces[middle]?.offset ?? 0) <= offset) low = middle;
    else high = middle;
  }
  const { line = 1, column = 1, offset: begin = 0 } = pieces[low] ?? {};
  return { line, column: column + offset - begin };
}

/** A line of the file: `text` without what ends it, `raw` with it. */
interface Line {
  readonly number: number;
  readonly raw: string;
  readonly text: string;
}

/** A line and all that continue it. */
interface LogicalLine {
  readonly raw: string;
  readonly lines: readonly Line[];
}

/**
 * Reads `text`; `file` only names it in places. What systemd would refuse or skip with a warning is told of in
 * `problems`, and kept in `entries` as `ignored`.
 */
export function parseUnitFile(file: string, text: string): { unitFile: UnitFile; problems: Problem[] } {
  const problems: Problem[] = [];
  const entries: Entry[] = [];
  let section: string | null = null;
  for (const logical of logicalLines(physicalLines(text))) {
    const entry = readLine(file, logical, section, problems);
    if (entry.kind === "section") section = entry.name;
    entries.push(entry);
  }
  return { unitFile: { file, entries }, problems };
}

/** systemd ends a line at a newline, a carriage return, or one of each in either order. */
function physicalLines(text: string): Line[] {
  const raws = text.match(/[^\r\n]*(?:\r\n|\n\r|\n|\r)|[^\r\n]+$/g) ?? [];
  return raws.map((raw, index) => ({ number: index + 1, raw, text: raw.replace(/[\r\n]+$/, "") }));
}

const byteOrderMark = "\uFEFF";
const blanks = " \t";

function isComment({ text }: Line): boolean {
  return /^[ \t]*[#;]/.test(text);
}

/** systemd looks for comments before it joins lines: a comment is never continued, and may stand in a continuation. */
function* logicalLines(physical: readonly Line[]): Generator<LogicalLine> {
  let open: Line[] = [];
  let raw = "";
  for (const line of physical) {
    raw += line.raw;
    if (isComment(line)) {
      if (open.length > 0) continue;
      yield { raw, lines: [line] };
    } else {
      open.push(line);
      if (isContinued(line.text)) continue;
      yield { raw, lines: open };
    }
    open = [];
    raw = "";
  }
  if (open.length > 0) yield { raw, lines: open };
}

/** A line goes on when it ends in a backslash that no other backslash escapes. */
function isContinued(text: string): boolean {
  let backslashes = 0;
  while (text.charAt(text.length - 1 - backslashes) === "\\") backslashes += 1;
  return backslashes % 2 === 1;
}

function readLine(file: string, logical: LogicalLine, section: string | null, problems: Problem[]): Entry {
  const { raw, lines } = logical;
  const joined = join(lines);
  const start = joined.text.search(/[^ \t]/);
  const at = joined.positionOf(Math.max(start, 0));
  const place = { file, ...at };
  if (lines.some(({ text }) => text.includes("\0"))) problems.push(problem("error", "UNIT_NUL", place));
  if (bytesOf(joined.text) >= longestLine) {
    problems.push(problem("error", "UNIT_LINE_TOO_LONG", place, { limit: longestLine }));
    return { kind: "ignored", raw, ...at };
  }
  if (start < 0) return { kind: "blank", raw, ...at };
  const text = trimmed(joined.text);
  if (/^[#;]/.test(text)) return { kind: "comment", raw, ...at };
  if (text.startsWith("[")) {
    const name = sectionName(text);
    if (name !== null) return { kind: "section", raw, ...at, name };
    problems.push(problem("error", "UNIT_SECTION_HEADER", place, { header: text }));
    return { kind: "ignored", raw, ...at };
  }
  if (section === null) {
    problems.push(problem("warning", "UNIT_OUTSIDE_SECTION", place, { line: shortened(text) }));
    return { kind: "ignored", raw, ...at };
  }
  const equals = joined.text.indexOf("=");
  if (equals <= start) {
    problems.push(problem("error", "UNIT_NOT_ASSIGNMENT", place, { line: shortened(text) }));
    return { kind: "ignored", raw, ...at };
  }
  const name = trimmed(joined.text.slice(0, equals));
  return { kind: "option", raw, file, section, name, ...at, ...valueAfter(joined, equals + 1, lines) };
}

interface Joined {
  readonly text: string;
  readonly pieces: readonly Piece[];
  readonly positionOf: (offset: number) => Position;
}

/** Lines put together: the backslash at the end of each but the last becomes a space. */
function join(lines: readonly Line[]): Joined {
  const parts: string[] = [];
  const pieces: Piece[] = [];
  let offset = 0;
  for (const line of lines) {
    // A byte order mark is only that at the very beginning.
    const skipped = line.number === 1 && line.text.startsWith(byteOrderMark) ? 1 : 0;
    const text = line.text.slice(skipped);
    const part = isContinued(text) ? `${text.slice(0, -1)} ` : text;
    pieces.push({ offset, line: line.number, column: 1 + skipped });
    parts.push(part);
    offset += part.length;
  }
  const positionOf = (wanted: number): Position => positionIn(pieces, wanted);
  return { text: parts.join(""), pieces, positionOf };
}

function valueAfter(
  joined: Joined,
  from: number,
  lines: readonly Line[],
): Pick<OptionEntry, "value" | "written" | "pieces"> {
  const tail = joined.text.slice(from);
  const begin = from + Math.max(tail.search(/[^ \t]/), 0);
  const first = { offset: 0, ...joined.positionOf(begin) };
  const later = joined.pieces.filter(({ offset }) => offset > begin);
  const pieces = [first, ...later.map((piece) => ({ ...piece, offset: piece.offset - begin }))];
  return { value: trimmed(tail), written: asFleetKeptIt(joined, from, lines), pieces };
}

/** fleet kept `\` and newline in values; one that ends with a blank continued line keeps that newline, too. */
function asFleetKeptIt(joined: Joined, from: number, lines: readonly Line[]): string {
  const holder = joined.pieces.findLastIndex(({ offset }) => offset < from);
  const { line: number, column } = joined.positionOf(from);
  const texts = lines
    .slice(Math.max(holder, 0))
    .map((line) => line.text.slice(line.number === number ? column - 1 : 0));
  const last = texts.at(-1) ?? "";
  const whole = texts.join("\n").trim();
  return texts.length > 1 && last.trim() === "" ? `${whole}\n` : whole;
}

/** The name in a section's header, or null when the line is none. */
function sectionName(text: string): string | null {
  const name = /^\[([^\]]*)\]$/.exec(text)?.[1] ?? null;
  if (name === null || name === "") return null;
  // What systemd's string_is_safe() refuses; a second `[` would only be a slip.
  return Array.from(name).some((character) => character < " " || "[\"'\\\x7f".includes(character))
    ? null
    : name;
}

function trimmed(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && blanks.includes(text.charAt(start))) start += 1;
  while (end > start && blanks.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function bytesOf(text: string): number {
  return text.length * 3 < longestLine ? text.length : Buffer.byteLength(text);
}
