import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { splitWords } from "./words.ts";

function words(value: string, keepEscapes = false): string[] {
  return splitWords(value, { keepEscapes }).words.map(({ text }) => text);
}

test("words are cut at blanks; quotes hold them together and go", () => {
  const rows: [string, string[]][] = [
    ["", []],
    ["  a\tb  ", ["a", "b"]],
    [`"a b" 'c "d' e`, ["a b", 'c "d', "e"]],
    ['a"b c"d', ["ab cd"]],
    [`"" ''`, ["", ""]],
    [String.raw`\a\b\f\n\r\t\v\\\"\'\s`, ["\x07\b\f\n\r\t\v\\\"' "]],
    [String.raw`\x41\101 \xc3\xa9 \u00e9 \U0001f30d`, ["AA", "é", "é", "🌍"]],
    [String.raw`"a\"b"`, ['a"b']],
  ];
  for (const [value, expected] of rows) assert.deepEqual(words(value), expected, value);
});

test("offsets lead to where a word begins", () => {
  assert.deepEqual(splitWords(` a  "b c"`).words, [
    { text: "a", offset: 1 },
    { text: "b c", offset: 4 },
  ]);
});

test("an unknown escape is kept and told of, a quote that is not closed is found", () => {
  assert.deepEqual(splitWords(String.raw`a \q \x00 \ud800`).unknownEscapes, [2, 5, 10]);
  assert.deepEqual(words(String.raw`\q\x0`), [String.raw`\q\x0`]);
  assert.equal(splitWords(`a 'b c`).unbalanced, 2);
  assert.equal(splitWords(`a b`).unbalanced, null);
});

test("names of units keep their backslashes", () => {
  assert.deepEqual(words(String.raw`dev-a\x2db.mount "c d"`, true), [String.raw`dev-a\x2db.mount`, "c d"]);
});

test("words that are quoted come back as they were", () => {
  const quote = (word: string): string => `"${word.replace(/["\\]/g, "\\$&")}"`;
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme" })), (list) => {
      assert.deepEqual(words(list.map(quote).join(" ")), list);
    }),
  );
});
