import assert from "node:assert/strict";
import { test } from "node:test";
import { drawProgress } from "./progress.ts";
import { recordedTerminal } from "./recorded-terminal.ts";

test("without a terminal, one plain line as each step begins", () => {
  const { terminal, errors } = recordedTerminal();
  const progress = drawProgress(terminal);
  progress.step("composing the tree");
  progress.detail("120 of 194 packages");
  progress.step("making the disk");
  progress.done();
  assert.equal(errors(), "composing the tree\nmaking the disk\n");
});

test("on a terminal each step leaves one line, with its time when it took long", () => {
  const { terminal, errors } = recordedTerminal({ live: true });
  let now = 0;
  const progress = drawProgress(terminal, () => now);
  progress.step("quick");
  now = 1500;
  progress.step("slow");
  now = 9500;
  progress.failed();
  const kept = errors()
    .split("\n")
    .map((line) => line.slice(line.lastIndexOf("\r") + 1));
  assert.deepEqual(kept, ["✓ quick", "✗ slow 8 s", ""]);
});

test("a note stays, and the running step is drawn again below it", () => {
  const { terminal, errors } = recordedTerminal({ live: true });
  const progress = drawProgress(terminal, () => 0);
  progress.step("one");
  progress.note("by the way");
  progress.done();
  assert.equal(errors(), "\r· one\rby the way\n\r· one\r✓ one\n");
});

test("after its end nothing is drawn any more", () => {
  const { terminal, errors } = recordedTerminal({ live: true });
  const progress = drawProgress(terminal, () => 0);
  progress.done();
  assert.equal(errors(), "");
  progress.step("one");
  progress.done();
  const before = errors();
  progress.done();
  progress.failed();
  progress.detail("late");
  assert.equal(errors(), before);
});
