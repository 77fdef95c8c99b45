import { stripVTControlCharacters } from "node:util";
import { exitCodes } from "../errors.ts";
import { describe } from "./failure.ts";
import { styled, type Terminal } from "./terminal.ts";

/** Width of `text` on the terminal, colours not counted. */
function width(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length;
}

function padded(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - width(text)));
}

/** `text` in at most `columns` columns, with … in place of what does not fit. Text with colours is left as it is. */
export function cut(text: string, columns: number): string {
  if (width(text) <= columns || text !== stripVTControlCharacters(text)) return text;
  return `${Array.from(text)
    .slice(0, Math.max(0, columns - 1))
    .join("")}…`;
}

const gap = 2;
/** No column is made narrower than this to fit the terminal. */
const narrowest = 8;

/**
 * Rows under their headings, as lines of at most `columns` columns: the widest columns give way first, and what does
 * not fit is cut with …. Nothing is cut where `columns` is Infinity.
 */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number,
): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, index) => Math.max(...all.map((row) => width(row[index] ?? ""))));
  const total = (): number => widths.reduce((sum, each) => sum + each, 0) + gap * (widths.length - 1);
  while (total() > columns) {
    const widest = widths.indexOf(Math.max(...widths));
    const current = widths[widest] ?? 0;
    if (current <= narrowest) break;
    widths[widest] = current - 1;
  }
  return all
    .map((row) =>
      headings
        .map((_, index) => padded(cut(row[index] ?? "", widths[index] ?? 0), widths[index] ?? 0))
        .join(" ".repeat(gap))
        .trimEnd(),
    )
    .join("\n");
}

/** Longer lines are hard to read, however wide the terminal is. */
const widestProse = 100;

/**
 * Prose in lines of at most `columns` columns, each begun with `indent` (the first one too). One line where `columns`
 * is Infinity: what reads it there may want to search it.
 */
export function wrap(text: string, columns: number, indent = ""): string {
  return text
    .split("\n")
    .map((line) => wrapLine(line, columns, indent))
    .join("\n");
}

function wrapLine(text: string, columns: number, indent: string): string {
  const limit = Number.isFinite(columns) ? Math.min(columns, widestProse) - indent.length : columns;
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line && width(line) + 1 + width(word) > limit) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  lines.push(line);
  return lines.map((each) => indent + each).join("\n");
}

/** The one document of a command that was asked for `--json`. */
export function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/**
 * Says what went wrong: code, sentence, next step. With `asJson` the same as a document on standard output, in the
 * form of the API. Gives the exit code for the process.
 */
export function showFailure(terminal: Terminal, error: unknown, asJson: boolean): number {
  const { code, message, next, parameters, exit } = describe(error);
  if (asJson) terminal.out(json({ error: { code, message, next, parameters } }));
  else {
    const label = exit === exitCodes.nothingToDo ? "" : `${styled(terminal, "bad", "error")} ${code}: `;
    terminal.err(wrap(`atoll: ${label}${message}`, terminal.columns));
    terminal.err(wrap(`next: ${next}`, terminal.columns, "  "));
  }
  return exit;
}

/** How long ago or how long: `45 s`, `12 min`, `3 h`, `5 d`. `milliseconds` may be any number; negative counts as 0. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}

/** Bytes in the unit that fits: `740 KiB`, `1.3 GiB`. */
export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** An ISO time as people here read it: `2026-11-22 15:04`, in this computer's time zone. */
export function localTime(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
