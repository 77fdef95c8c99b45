import assert from "node:assert/strict";
import { test } from "node:test";
import { findRelease } from "./diff.ts";
import { parseGvariantString, parseLog } from "./repository.ts";

const one = "a".repeat(64);
const two = `${"b".repeat(63)}c`;
const log = `commit ${two}
Parent:  ${one}
ContentChecksum:  ${one}
Date:  2026-11-22 15:43:55 +0000
Version: 20261122.2

    Atoll 20261122.2

commit ${one}
Date:  2026-11-22 15:43:54 +0000
(no subject)
`;

test("ostree's log is read as releases; a commit without a version is none", () => {
  assert.deepEqual(parseLog(log), [
    { checksum: two, version: "20261122.2", timestamp: Date.UTC(2026, 10, 22, 15, 43, 55) / 1000 },
  ]);
});

test("texts come out of GVariant's quotes", () => {
  assert.equal(parseGvariantString("'plain'"), "plain");
  assert.equal(parseGvariantString(`'{"a":"b\\\\c"}'`), `{"a":"b\\c"}`);
  assert.equal(parseGvariantString(`"it's"`), "it's");
  assert.equal(parseGvariantString("'l\\nm\\u00e9\\U0001f600'"), "l\nmé😀");
  assert.equal(parseGvariantString("5"), "5");
});

test("a release is found by its version or by how its checksum begins, and never guessed", () => {
  const releases = [
    { checksum: two, version: "2", timestamp: 0 },
    { checksum: one, version: "1", timestamp: 0 },
    { checksum: `${"b".repeat(63)}d`, version: "3", timestamp: 0 },
  ];
  assert.equal(findRelease(releases, "1", "repo").checksum, one);
  assert.equal(findRelease(releases, "aaaaaaa", "repo").version, "1");
  assert.throws(() => findRelease(releases, "bbbbbbb", "repo"), {
    code: "RELEASE_UNKNOWN",
    message: /more than one/,
  });
  assert.throws(() => findRelease(releases, "aaa", "repo"), {
    code: "RELEASE_UNKNOWN",
    message: /no release is called aaa/,
  });
});
