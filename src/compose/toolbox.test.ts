import assert from "node:assert/strict";
import { test } from "node:test";
import { lockRequest } from "./lock.ts";
import { outermost } from "./toolbox.ts";
import { readToolboxLock, toolboxRequest } from "./toolbox-root.ts";

test("a folder within another is seen with it; the one that holds the toolbox comes first", () => {
  const root = "/home/u/.cache/atoll/toolbox-1";
  const cache = "/home/u/.cache/atoll";
  assert.deepEqual(outermost(["/srv/clone", "/tmp", cache], root), [cache, "/srv/clone", "/tmp"]);
  assert.deepEqual(outermost([cache, "/tmp", "/tmp/state", "/tmp", "/tmpfoo"], root), [
    cache,
    "/tmp",
    "/tmpfoo",
  ]);
  assert.deepEqual(outermost(["/tmp/cache", "/srv", "/tmp"], "/tmp/cache/toolbox-1"), ["/tmp", "/srv"]);
});

test("os/toolbox.lock is the one that the toolbox asks for", async () => {
  const lock = await readToolboxLock();
  assert.equal(lock.request, lockRequest(toolboxRequest), "run `scripts/run toolbox-lock`");
  const names = new Set(lock.packages.map(({ name }) => name));
  for (const name of toolboxRequest.packages) assert.ok(names.has(name), name);
});
