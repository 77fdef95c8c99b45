import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { codec, codecPath } from "../../scripts/codec.ts";

test("the generated codec is that of etcd.proto (mend with: scripts/run codec)", async () => {
  assert.equal(readFileSync(codecPath, "utf8"), await codec());
});
