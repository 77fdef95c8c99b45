/** Splits values into words by the rules of systemd.syntax(7), section QUOTING. */

export interface Word {
  readonly text: string;
  /** Where the word begins in the value. */
  readonly offset: number;
}

interface SplitOptions {
  /** Backslashes stay as they are, as in lists of units, whose names may hold them. */
  readonly keepEscapes?: boolean;
}

interface Words {
  readonly words: readonly Word[];
  /** Backslashes that begin no escape that systemd knows: it warns, and keeps them. */
  readonly unknownEscapes: readonly number[];
  /** Where a quote opens that nothing closes; systemd then ignores the assignment. Null: all is well. */
  readonly unbalanced: number | null;
}

const separators = " \t\n\r";

/**
 * The words of `value`. Quotes are removed wherever they stand, as systemd does although its manual allows them only
 * around whole words.
 */
export function splitWords(value: string, { keepEscapes = false }: SplitOptions = {}): Words {
  const words: Word[] = [];
  const unknownEscapes: number[] = [];
  let at = 0;
  for (;;) {
    while (at < value.length && separators.includes(value.charAt(at))) at += 1;
    if (at >= value.length) return { words, unknownEscapes, unbalanced: null };
    const word = readWord(value, at, keepEscapes, unknownEscapes);
    if (word.unbalanced !== null) return { words, unknownEscapes, unbalanced: word.unbalanced };
    words.push({ text: word.text, offset: at });
    at = word.end;
  }
}

function readWord(
  value: string,
  start: number,
  keepEscapes: boolean,
  unknownEscapes: number[],
): { text: string; end: number; unbalanced: number | null } {
  // Escapes such as \xc3 are bytes of UTF-8, so a word is put together from bytes.
  const bytes: Buffer[] = [];
  let quote = "";
  let opened = start;
  let at = start;
  while (at < value.length) {
    const character = value.charAt(at);
    if (character === quote) {
      quote = "";
      at += 1;
    } else if (quote === "" && (character === '"' || character === "'")) {
      quote = character;
      opened = at;
      at += 1;
    } else if (quote === "" && separators.includes(character)) {
      break;
    } else if (character === "\\" && !keepEscapes) {
      const meant = readEscape(value.slice(at + 1, at + 10));
      if (meant === null) unknownEscapes.push(at);
      bytes.push(meant === null ? Buffer.from("\\") : meant.bytes);
      at += 1 + (meant?.length ?? 0);
    } else {
      const run = /^(?:[^\\"' \t\n\r]+|[\s\S])/.exec(value.slice(at))?.[0] ?? character;
      bytes.push(Buffer.from(run));
      at += run.length;
    }
  }
  const unbalanced = quote === "" ? null : opened;
  return { text: Buffer.concat(bytes).toString("utf8"), end: at, unbalanced };
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  s: " ",
  "\\": "\\",
  '"': '"',
  "'": "'",
};

/** What stands after a backslash: the bytes that it means and how much of `text` that is; null when it is no escape. */
function readEscape(text: string): { bytes: Buffer; length: number } | null {
  const simple = simpleEscapes[text.charAt(0)];
  if (simple !== undefined) return { bytes: Buffer.from(simple), length: 1 };
  const byte = /^x([0-9a-fA-F]{2})/.exec(text) ?? /^([0-7]{3})/.exec(text);
  if (byte) {
    const code = Number.parseInt(byte[1] ?? "", byte[0].startsWith("x") ? 16 : 8);
    return code === 0 || code > 255 ? null : { bytes: Buffer.of(code), length: byte[0].length };
  }
  const point = /^u([0-9a-fA-F]{4})/.exec(text) ?? /^U([0-9a-fA-F]{8})/.exec(text);
  const code = Number.parseInt(point?.[1] ?? "0", 16);
  const isCharacter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  if (point === null || !isCharacter) return null;
  return { bytes: Buffer.from(String.fromCodePoint(code)), length: point[0].length };
}
