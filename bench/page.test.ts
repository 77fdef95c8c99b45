import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { median } from "./harness.ts";
import { currentPage, fillPage, pagePath } from "./page.ts";
import { bytes, percent, seconds, table } from "./table.ts";

test("docs/benchmarks.md shows the results in bench/results", async () => {
  assert.equal(await readFile(pagePath, "utf8"), await currentPage());
});

test("a page is filled between its marks, and nowhere else", () => {
  const page = "before\n<!-- bench a -->\nold\n<!-- end of bench a -->\nafter\n";
  const filled = "before\n<!-- bench a -->\n\nnew\n\n<!-- end of bench a -->\nafter\n";
  assert.equal(fillPage(page, new Map([["a", "new"]])), filled);
  assert.equal(fillPage(filled, new Map([["a", "new"]])), filled);
  assert.throws(() => fillPage(page, new Map([["b", "new"]])), /has no "<!-- bench b -->"/);
});

test("figures are shown with the digits that count", () => {
  assert.deepEqual([999, 1000, 15_432, 999_499].map(bytes), ["1.00 kB", "1.00 kB", "15.4 kB", "999 kB"]);
  assert.deepEqual([999_500, 1e6, 156_940_000].map(bytes), ["1.00 MB", "1.00 MB", "157 MB"]);
  assert.deepEqual([0.0123, 0.9996, 9.996, 123.4].map(seconds), ["12 ms", "1.00 s", "10.0 s", "123 s"]);
  assert.deepEqual([percent(1, 3), percent(1, 100)], ["33 %", "1.0 %"]);
});

test("a table's numbers stand at the right", () => {
  assert.equal(table(["what", "size"], [["a|b", "1 kB"]]), "| what | size |\n|---|---:|\n| a\\|b | 1 kB |");
});

test("the median is the middle one, or the mean of the two in the middle", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.throws(() => median([]), RangeError);
});
