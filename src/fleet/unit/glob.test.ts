import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { globMistake, matchesGlob } from "./glob.ts";

/** Patterns and what Go's path.Match says of them; null: it calls the pattern malformed, and matches nothing. */
const rows: [string, string, boolean | null][] = [
  ["web.service", "web.service", true],
  ["*", "web.service", true],
  ["*.service", "web.service", true],
  ["web@*.service", "web@1.service", true],
  ["web@*.service", "web.service", false],
  ["web@?.service", "web@1.service", true],
  ["web@?.service", "web@10.service", false],
  ["web@[0-9].service", "web@7.service", true],
  ["web@[^0-9].service", "web@7.service", false],
  ["web@[^0-9].service", "web@a.service", true],
  ["a*b*c", "axxbxxc", true],
  ["a*b*c", "axxbxx", false],
  ["", "", true],
  ["", "a", false],
  ["*", "", true],
  ["*", "a/b", false],
  ["a?b", "a/b", false],
  ["a[/]b", "a/b", true],
  ["a\\*b", "a*b", true],
  ["a\\*b", "axb", false],
  ["[\\]a]", "]", true],
  ["[\\-]", "-", true],
  ["[x\\-]", "-", true],
  ["a]", "a]", true],
  ["[a-b-c]", "a", null],
  ["[]a]", "]", null],
  ["[-]", "-", null],
  ["[x-]", "x", null],
  ["[-x]", "x", null],
  ["[", "a", null],
  ["[^", "a", null],
  ["[^bc", "a", null],
  ["a[", "a", null],
  ["a[", "ab", null],
  ["a\\", "a", null],
  ["*x", "xxx", true],
  ["[z-a]", "m", false],
  ["a[^a]b", "a☺b", true],
  ["a?b", "a☺b", true],
  ["a??b", "a☺b", false],
];

test("matches what Go's path.Match matches", () => {
  for (const [pattern, name, expected] of rows) {
    assert.equal(matchesGlob(pattern, name), expected === true, `${pattern} ${name}`);
    assert.equal(globMistake(pattern) === null, expected !== null, pattern);
  }
});

/** Straight from the definition: a star takes nothing, or one character more. */
function reference(pattern: readonly string[], name: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  const [character, ...others] = name;
  if (first === undefined) return character === undefined;
  if (first === "*") return reference(rest, name) || (character !== undefined && reference(pattern, others));
  if (character === undefined) return false;
  const taken =
    first === "?" ||
    (first === "[a-b]"
      ? "ab".includes(character)
      : first === "[^a]"
        ? character !== "a"
        : first === character);
  return taken && reference(rest, others);
}

test("matches what the definition says, whatever the pattern", () => {
  const part = fc.constantFrom("*", "?", "[a-b]", "[^a]", "a", "b", "@");
  const name = fc.array(fc.constantFrom("a", "b", "c", "@"), { maxLength: 8 });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), name, (pattern, characters) => {
      assert.equal(matchesGlob(pattern.join(""), characters.join("")), reference(pattern, characters));
    }),
  );
});

test("takes no longer for patterns made to hurt", () => {
  assert.equal(matchesGlob(`${"*a".repeat(100)}b`, "a".repeat(5000)), false);
});
