import assert from "node:assert/strict";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { cacheDirectory, stateDirectory } from "./paths.ts";

test("a variable that is empty, or relative where XDG wants an absolute path, counts as unset", () => {
  const standard = { cache: join(homedir(), ".cache/atoll"), state: join(homedir(), ".local/state/atoll") };
  for (const value of ["", "relative"]) {
    assert.equal(cacheDirectory({ XDG_CACHE_HOME: value }), standard.cache);
    assert.equal(stateDirectory({ XDG_STATE_HOME: value }), standard.state);
  }
  assert.equal(cacheDirectory({ ATOLL_CACHE: "" }), standard.cache);
  assert.equal(stateDirectory({ ATOLL_STATE: "" }), standard.state);
  assert.equal(cacheDirectory({ XDG_CACHE_HOME: "/c" }), "/c/atoll");
});

test("our own variables are made absolute: the toolbox sees folders at their own paths", () => {
  assert.equal(cacheDirectory({ ATOLL_CACHE: "c" }), resolve("c"));
  assert.equal(stateDirectory({ ATOLL_STATE: "/s" }), "/s");
});
