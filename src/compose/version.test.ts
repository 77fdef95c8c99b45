import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareDebianVersions } from "../debian-version.ts";
import { nextVersion } from "./version.ts";

const noon = Date.UTC(2026, 10, 22, 12) / 1000;

test("the first of a day is its number one, those after it count up", () => {
  assert.equal(nextVersion(null, [], noon), "20261122.1");
  assert.equal(nextVersion(null, ["20261122.1"], noon), "20261122.2");
  assert.equal(nextVersion(null, ["20261122.9", "20261122.10"], noon), "20261122.11");
  assert.equal(nextVersion(null, ["20261121.7"], noon), "20261122.1");
});

test("a newest version from a later day, or of another form, is counted on from", () => {
  assert.equal(nextVersion(null, ["20270101.3"], noon), "20270101.4");
  assert.equal(nextVersion(null, ["99999999"], noon), "99999999.1");
});

test("a version that is given must be newer than all", () => {
  assert.equal(nextVersion("1.10", ["1.9"], noon), "1.10");
  const refused = { code: "VERSION_NOT_NEWER", parameters: { version: "1.9", newest: "1.10" } };
  assert.throws(() => nextVersion("1.9", ["1.9", "1.10"], noon), refused);
  assert.throws(() => nextVersion("1.10", ["1.10"], noon), { code: "VERSION_NOT_NEWER" });
});

test("whatever was used, what comes next is newer", () => {
  const version = fc.oneof(
    fc.stringMatching(/^[0-9]{8}\.[0-9]{1,3}$/),
    fc.stringMatching(/^[0-9][A-Za-z0-9.~+]{0,8}$/),
  );
  fc.assert(
    fc.property(fc.array(version, { maxLength: 6 }), (used) => {
      const next = nextVersion(null, used, noon);
      for (const each of used) assert.ok(compareDebianVersions(next, each) > 0, `${next} after ${each}`);
    }),
  );
});
