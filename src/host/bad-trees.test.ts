import assert from "node:assert/strict";
import { test } from "node:test";
import { acquitted, blameFor, findBad, findBadPair } from "./bad-trees.ts";
import type { BadTree } from "./model.ts";
import type { InstalledDeployment } from "./sysroot.ts";

function installed(checksum: string, kernelArguments: readonly string[] | null): InstalledDeployment {
  return {
    ...{ index: 0, id: `${checksum}.0`, checksum, serial: 0, version: null, timestamp: "" },
    ...{ booted: false, staged: false, pinned: false, rollback: false, unlocked: false },
    ...{ kernelArguments, bootId: null, treeId: null, origin: null },
  };
}

test("the tree is to blame where it alone was new", () => {
  const good = installed("a", ["rw"]);
  assert.equal(blameFor(installed("b", ["rw"]), good), "tree");
  assert.equal(blameFor(installed("a", ["rw", "quiet"]), good), "pair");
  assert.equal(blameFor(installed("b", ["rw", "quiet"]), good), "pair", "either may be");
  assert.equal(blameFor(installed("b", null), good), "pair");
  assert.equal(blameFor(installed("b", ["rw"]), null), "pair");
});

function bad(checksum: string, kernelArguments: readonly string[], blame: BadTree["blame"]): BadTree {
  const bootId = `${checksum}-${kernelArguments.join("-")}`;
  return {
    ...{ checksum, version: null, kernelArguments, bootId, blame },
    ...{ at: "", reasons: [], boots: [], askedAgain: false },
  };
}

test("a bad tree is bad with any arguments; a bad pair is bad as it is", () => {
  const list = [bad("b", ["rw"], "tree"), bad("c", ["rw", "x"], "pair")];
  assert.equal(findBad(list, "b", ["rw"])?.checksum, "b");
  assert.equal(findBad(list, "b", ["rw", "quiet"])?.checksum, "b");
  assert.equal(findBadPair(list, "b", ["rw", "quiet"]), undefined);
  assert.equal(findBad(list, "c", ["rw", "x"])?.checksum, "c");
  assert.equal(findBad(list, "c", ["rw"]), undefined);
});

test("a tree that comes up well is no longer to blame, but what fell back with it stays bad", () => {
  const list = [bad("b", ["rw"], "tree"), bad("b", ["rw", "y"], "pair"), bad("c", ["rw"], "tree")];
  assert.deepEqual(acquitted(list, "b-rw-y", "b"), [bad("b", ["rw"], "pair"), bad("c", ["rw"], "tree")]);
});
