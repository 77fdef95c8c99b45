import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest } from "./nearest.ts";

test("nearest finds words within two edits, and none further away", () => {
  assert.equal(nearest("packges", ["packages", "files"]), "packages");
  assert.equal(nearest("zzz", ["packages", "files"]), null);
});
