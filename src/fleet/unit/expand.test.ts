import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../errors.ts";
import { expandNames } from "./expand.ts";

test("expands as a shell does", () => {
  const rows: [string, string[]][] = [
    ["web.service", ["web.service"]],
    ["web@{1..3}", ["web@1", "web@2", "web@3"]],
    ["web@{3..1}", ["web@3", "web@2", "web@1"]],
    ["web@{08..10}", ["web@08", "web@09", "web@10"]],
    ["web@{-1..1}", ["web@-1", "web@0", "web@1"]],
    ["web@{a..c}.service", ["web@a.service", "web@b.service", "web@c.service"]],
    ["{web,db}.service", ["web.service", "db.service"]],
    ["a{,b}.service", ["a.service", "ab.service"]],
    ["{a,b}{1..2}", ["a1", "a2", "b1", "b2"]],
    ["x{a,{b,c}d,e{1..2}}y", ["xay", "xbdy", "xcdy", "xe1y", "xe2y"]],
    ["a,b", ["a,b"]],
  ];
  for (const [pattern, names] of rows) assert.deepEqual(expandNames(pattern), names, pattern);
});

test("refuses what is most likely a slip", () => {
  const slips = [
    "a{1..2",
    "a}b",
    "a{b}",
    "a{}",
    "{1..b}",
    "{a..Z}",
    "{1..}",
    "{,a}",
    "w@{1..10001}",
    "{1..200}{1..200}",
    "{0..999999999999999}",
  ];
  for (const pattern of slips) {
    assert.throws(
      () => expandNames(pattern),
      (error) => hasCode(error, "UNIT_EXPANSION_INVALID"),
      pattern,
    );
  }
});

type Tree = string | readonly Tree[];

/** A list of alternatives, or of parts that follow each other, by depth; and what it stands for. */
function written(tree: Tree, isList: boolean): string {
  if (typeof tree === "string") return tree;
  const parts = tree.map((part) => written(part, !isList));
  return isList ? `{${parts.join(",")}}` : parts.join("");
}

function meant(tree: Tree, isList: boolean): string[] {
  if (typeof tree === "string") return [tree];
  const parts = tree.map((part) => meant(part, !isList));
  if (isList) return parts.flat();
  return parts.reduce((names, part) => names.flatMap((name) => part.map((end) => name + end)), [""]);
}

test("what was written with braces is what comes out", () => {
  const word = fc.stringMatching(/^[a-z@]{1,2}$/);
  const list = (inner: fc.Arbitrary<Tree>): fc.Arbitrary<Tree> =>
    fc.array(inner, { minLength: 2, maxLength: 3 });
  const parts = (inner: fc.Arbitrary<Tree>): fc.Arbitrary<Tree> =>
    fc.array(inner, { minLength: 1, maxLength: 2 });
  const tree = parts(fc.oneof(word, list(fc.oneof(word, parts(fc.oneof(word, list(word)))))));
  fc.assert(
    fc.property(tree, (value) => {
      assert.deepEqual(expandNames(written(value, false)), meant(value, false));
    }),
  );
});

test("a range has as many names as its ends are apart, each once", () => {
  const end = fc.integer({ min: -500, max: 500 });
  fc.assert(
    fc.property(end, end, (from, to) => {
      const names = expandNames(`w@{${from}..${to}}`);
      assert.equal(new Set(names).size, Math.abs(from - to) + 1);
      assert.deepEqual([names[0], names.at(-1)], [`w@${from}`, `w@${to}`]);
    }),
  );
});
