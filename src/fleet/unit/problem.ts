/** What is wrong with a unit file, and where. */
import { type ErrorCode, type ErrorParameters, errorWords } from "../../errors.ts";

/** Both count from 1; columns are UTF-16 code units, as editors count them. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Place extends Position {
  /** The unit's name, or the path of a drop-in. */
  readonly file: string;
}

/** An `error` keeps the unit from being taken; a `warning` says that something is likely not what was meant. */
export interface Problem extends Place {
  readonly severity: "error" | "warning";
  readonly code: ErrorCode;
  readonly message: string;
  /** What to do. */
  readonly next: string;
  readonly parameters: ErrorParameters;
}

/** A problem with the registry's words for `code`. */
export function problem(
  severity: Problem["severity"],
  code: ErrorCode,
  { file, line, column }: Place,
  parameters: ErrorParameters = {},
): Problem {
  return { severity, code, file, line, column, ...errorWords(code, parameters), parameters };
}

/** Puts `more` behind `problems`. push(...more) would not do: a text full of mistakes has more than a call can pass. */
export function addTo(problems: Problem[], more: readonly Problem[]): void {
  for (const one of more) problems.push(one);
}

/** `file:line:column: message`, the form that compilers have and editors follow. */
export function problemText({ file, line, column, message }: Problem): string {
  return `${file}:${line}:${column}: ${message}`;
}

const goEscapes: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** `text` as Go's %q shows it; fleet's messages hold names in that form. */
export function quoted(text: string, quote: '"' | "'" = '"'): string {
  const shown = Array.from(text, (character) => {
    if (character === quote || character === "\\") return `\\${character}`;
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0x20 && code !== 0x7f) return character;
    return goEscapes[character] ?? `\\x${code.toString(16).padStart(2, "0")}`;
  });
  return `${quote}${shown.join("")}${quote}`;
}
