import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { AtollError, exitCodes } from "../errors.ts";
import { cut, duration, json, showFailure, size, table, wrap } from "./output.ts";
import { recordedTerminal } from "./recorded-terminal.ts";
import { styled } from "./terminal.ts";

test("a table fits the terminal whatever is in it, as long as its columns can be narrow enough", () => {
  const cell = fc.string({ maxLength: 60, unit: fc.constantFrom("a", "b", "-", "é", "→") });
  const rows = fc.array(fc.tuple(cell, cell, cell), { maxLength: 5 });
  fc.assert(
    fc.property(rows, fc.integer({ min: 30, max: 120 }), (cells, columns) => {
      const lines = table(["NAME", "STATE", "PORTS"], cells, columns).split("\n");
      assert.equal(lines.length, cells.length + 1);
      for (const line of lines) assert.ok(Array.from(line).length <= columns, line);
    }),
  );
});

test("columns line up, and nothing is cut where nobody looks", () => {
  const long = "x".repeat(200);
  const text = table(["A", "B"], [["one", long]], Number.POSITIVE_INFINITY);
  assert.equal(text, `A    B\none  ${long}`);
  assert.equal(table(["A", "B"], [["one", long]], 20), `A    B\none  ${"x".repeat(14)}…`);
});

test("prose is wrapped between words, and no word is lost", () => {
  fc.assert(
    fc.property(fc.lorem({ maxCount: 40 }), fc.integer({ min: 20, max: 90 }), (text, columns) => {
      const wrapped = wrap(text, columns, "  ");
      for (const line of wrapped.split("\n")) assert.ok(line.length <= columns && line.startsWith("  "));
      assert.equal(wrapped.split(/\s+/).join(" ").trim(), text);
    }),
  );
});

test("what is too long ends in …", () => {
  assert.equal(cut("abcdef", 6), "abcdef");
  assert.equal(cut("abcdef", 5), "abcd…");
});

test("times and sizes are in the unit that fits", () => {
  assert.deepEqual([0, 45_000, 99_400, 720_000, 7_200_000, 400_000_000].map(duration), [
    ...["0 s", "45 s", "99 s", "12 min", "2 h", "5 d"],
  ]);
  assert.deepEqual([0, 999, 1000, 757_760, 1_395_864_371].map(size), [
    ...["0 B", "999 B", "1.0 KiB", "740 KiB", "1.3 GiB"],
  ]);
});

test("a failure is told with code, sentence and next step, and gives its exit code", () => {
  const { terminal, errors, output } = recordedTerminal();
  const error = new AtollError("LAB_RUNNING", { name: "box" });
  assert.equal(showFailure(terminal, error, false), exitCodes.refused);
  assert.equal(errors(), "atoll: error LAB_RUNNING: box runs\n  next: stop it first: `atoll lab stop box`\n");
  assert.equal(output(), "");
});

test("with --json a failure is one document, in the form of the API", () => {
  const { terminal, errors, output } = recordedTerminal();
  showFailure(terminal, new AtollError("LAB_RUNNING", { name: "box" }), true);
  assert.deepEqual(JSON.parse(output()), {
    error: {
      code: "LAB_RUNNING",
      message: "box runs",
      next: "stop it first: `atoll lab stop box`",
      parameters: { name: "box" },
    },
  });
  assert.equal(errors(), "");
  assert.equal(json({ a: 1 }), '{\n  "a": 1\n}');
});

test("colour only where the terminal has it", () => {
  assert.equal(styled({ colour: false }, "bad", "x"), "x");
  const coloured = styled({ colour: true }, "bad", "x");
  assert.notEqual(coloured, "x");
  assert.equal(stripVTControlCharacters(coloured), "x");
});
