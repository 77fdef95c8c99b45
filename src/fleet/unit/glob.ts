/**
 * Globs with the syntax and the results of Go's path.Match, which fleet's Conflicts= and Replaces= are defined by:
 * `*` and `?` do not cross `/`, `[a-z]` and `[^a-z]` are classes, `\` takes the next character as it is.
 */

type Token =
  | { readonly kind: "star" }
  | { readonly kind: "any" }
  | { readonly kind: "character"; readonly character: string }
  | {
      readonly kind: "class";
      readonly negated: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    };

/** What is wrong with a pattern, or null. A pattern with a mistake matches nothing. */
export function globMistake(pattern: string): string | null {
  const tokens = tokenise(pattern);
  return typeof tokens === "string" ? tokens : null;
}

/** True when all of `name` matches `pattern`. */
export function matchesGlob(pattern: string, name: string): boolean {
  const tokens = tokenise(pattern);
  return typeof tokens !== "string" && matches(tokens, Array.from(name));
}

/** Walks both once; on a mismatch the last star takes one character more. Go, too, never goes back to an earlier star. */
function matches(tokens: readonly Token[], name: readonly string[]): boolean {
  let [token, at] = [0, 0];
  let star: { readonly token: number; at: number } | null = null;
  while (at < name.length || token < tokens.length) {
    const wanted = tokens[token];
    if (wanted?.kind === "star") {
      star = { token, at };
      token += 1;
    } else if (wanted !== undefined && takes(wanted, name[at])) {
      token += 1;
      at += 1;
    } else if (star !== null && star.at < name.length && name[star.at] !== "/") {
      star.at += 1;
      token = star.token + 1;
      at = star.at;
    } else {
      return false;
    }
  }
  return true;
}

function takes(token: Token, character: string | undefined): boolean {
  if (character === undefined) return false;
  switch (token.kind) {
    case "star":
      return false;
    case "any":
      return character !== "/";
    case "character":
      return character === token.character;
    case "class": {
      const point = character.codePointAt(0) ?? 0;
      const isIn = token.ranges.some(
        ([low, high]) => (low.codePointAt(0) ?? 0) <= point && point <= (high.codePointAt(0) ?? 0),
      );
      return isIn !== token.negated;
    }
  }
}

/** The pattern in parts, or what is wrong with it. */
function tokenise(pattern: string): readonly Token[] | string {
  const characters = Array.from(pattern);
  const tokens: Token[] = [];
  let at = 0;
  while (at < characters.length) {
    const character = characters[at] ?? "";
    at += 1;
    if (character === "*") {
      tokens.push({ kind: "star" });
    } else if (character === "?") {
      tokens.push({ kind: "any" });
    } else if (character === "[") {
      const read = readClass(characters, at);
      if (typeof read === "string") return read;
      tokens.push(read.token);
      at = read.end;
    } else if (character === "\\") {
      const escaped = characters[at];
      if (escaped === undefined) return "it ends in a backslash that escapes nothing";
      tokens.push({ kind: "character", character: escaped });
      at += 1;
    } else {
      tokens.push({ kind: "character", character });
    }
  }
  return tokens;
}

function readClass(characters: readonly string[], start: number): { token: Token; end: number } | string {
  const negated = characters[start] === "^";
  const ranges: [string, string][] = [];
  let at = negated ? start + 1 : start;
  while (characters[at] !== "]" || ranges.length === 0) {
    const low = classCharacter(characters, at);
    if (low === null) return "the class that `[` opens is empty, is not closed, or has a bare `-`";
    at = low.end;
    const isRange = characters[at] === "-";
    const high = isRange ? classCharacter(characters, at + 1) : low;
    if (high === null) return "a range of a class has no end";
    at = high.end;
    ranges.push([low.character, high.character]);
  }
  return { token: { kind: "class", negated, ranges }, end: at + 1 };
}

/** One character of a class; never the last of the pattern, as `]` must follow. */
function classCharacter(
  characters: readonly string[],
  at: number,
): { character: string; end: number } | null {
  const first = characters[at];
  if (first === undefined || first === "-" || first === "]") return null;
  const index = first === "\\" ? at + 1 : at;
  const character = characters[index];
  return character === undefined || index + 1 >= characters.length ? null : { character, end: index + 1 };
}
