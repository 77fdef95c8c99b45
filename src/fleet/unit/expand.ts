/** Brace expansion of unit names on a command line: `web@{1..5}`, `{web,db}.service`; as in a shell. */
import { AtollError } from "../../errors.ts";

/** More names than that from one word are taken for a slip. */
export const mostNames = 10_000;

/**
 * The names that `pattern` stands for, in the order in which it gives them; itself when it has no braces. Braces may
 * stand in braces. A range goes up or down, keeps leading zeros (`{01..10}`), and may be of letters (`{a..e}`).
 * Errors: UNIT_EXPANSION_INVALID.
 */
export function expandNames(pattern: string): string[] {
  const close = matchingBraces(pattern);
  const names = expand(pattern, 0, pattern.length, { pattern, close });
  if (names.some((name) => name === "")) throw invalid(pattern, "one of its names is empty");
  return names;
}

interface Whole {
  readonly pattern: string;
  /** For each opening brace, where its closing one is. */
  readonly close: ReadonlyMap<number, number>;
}

function matchingBraces(pattern: string): Map<number, number> {
  const close = new Map<number, number>();
  const open: number[] = [];
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    if (character === "{") open.push(at);
    if (character !== "}") continue;
    const begin = open.pop();
    if (begin === undefined) throw invalid(pattern, `the } at column ${at + 1} closes nothing`);
    close.set(begin, at);
  }
  const [left] = open;
  if (left !== undefined) throw invalid(pattern, `the { at column ${left + 1} is not closed`);
  return close;
}

/** All that the characters from `start` to before `end` stand for. */
function expand(pattern: string, start: number, end: number, whole: Whole): string[] {
  let names = [""];
  let at = start;
  while (at < end) {
    const close = whole.close.get(at);
    const next = close === undefined ? nextBrace(pattern, at, end) : close + 1;
    const parts = close === undefined ? [pattern.slice(at, next)] : group(pattern, at, close, whole);
    if (names.length * parts.length > mostNames) throw tooMany(pattern);
    names = names.flatMap((name) => parts.map((part) => name + part));
    at = next;
  }
  return names;
}

function nextBrace(pattern: string, at: number, end: number): number {
  const brace = pattern.indexOf("{", at);
  return brace < 0 || brace > end ? end : brace;
}

function group(pattern: string, open: number, close: number, whole: Whole): string[] {
  const inside = pattern.slice(open + 1, close);
  const range = /^(-?\d{1,15}|[a-zA-Z])\.\.(-?\d{1,15}|[a-zA-Z])$/.exec(inside);
  if (range) return members(pattern, range[1] ?? "", range[2] ?? "");
  const names: string[] = [];
  let start = open + 1;
  let commas = 0;
  for (let at = open + 1; at <= close; at += 1) {
    const inner = whole.close.get(at);
    if (inner !== undefined) {
      at = inner;
    } else if (at === close || pattern.charAt(at) === ",") {
      names.push(...expand(pattern, start, at, whole));
      if (names.length > mostNames) throw tooMany(pattern);
      start = at + 1;
      commas += at === close ? 0 : 1;
    }
  }
  if (commas === 0)
    throw invalid(pattern, `{${inside}} is neither a range such as {1..5} nor a list such as {a,b}`);
  return names;
}

function members(pattern: string, from: string, to: string): string[] {
  const letters = [from, to].map((end) => /[a-zA-Z]/.test(end));
  if (letters[0] !== letters[1]) throw invalid(pattern, `{${from}..${to}} mixes a letter and a number`);
  const [first, last] = letters[0] ? [from.charCodeAt(0), to.charCodeAt(0)] : [Number(from), Number(to)];
  if (letters[0] && /[a-z]/.test(from) !== /[a-z]/.test(to)) {
    throw invalid(pattern, `{${from}..${to}} mixes capitals and small letters`);
  }
  const count = Math.abs(last - first) + 1;
  if (count > mostNames) throw tooMany(pattern);
  const isPadded = [from, to].some((end) => /^-?0\d/.test(end));
  const width = isPadded ? Math.max(from.length, to.length) : 0;
  const step = first <= last ? 1 : -1;
  return Array.from({ length: count }, (_, index) => {
    const member = first + index * step;
    return letters[0] ? String.fromCharCode(member) : padded(member, width);
  });
}

function padded(value: number, width: number): string {
  const digits = String(Math.abs(value));
  return value < 0 ? `-${digits.padStart(width - 1, "0")}` : digits.padStart(width, "0");
}

function invalid(pattern: string, reason: string): AtollError {
  return new AtollError("UNIT_EXPANSION_INVALID", { pattern, problem: reason });
}

function tooMany(pattern: string): AtollError {
  return invalid(pattern, `it stands for more than ${mostNames} names`);
}
