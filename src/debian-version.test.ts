import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareDebianVersions } from "./debian-version.ts";

/** Each line ascends, as `dpkg --compare-versions` has it (dpkg 1.22). */
const ascending = [
  ["1.0~rc1", "1.0", "1.0a", "1.0+b1", "1.0.1"],
  ["1", "1-1", "1-1+deb13u1", "1-1.1", "1-2", "1-10"],
  ["9", "10", "1:0.1"],
  ["1.2~~", "1.2~~a", "1.2~", "1.2"],
  ["257.7-1", "257.8-1~deb13u1", "257.8-1~deb13u2", "257.9-1~deb13u1"],
  ["2:1.0-1", "2:1.0-1+b2", "3:0"],
  ["6.12.38-1", "6.12.41-1", "6.12.107-1"],
];

test("versions come in dpkg's order", () => {
  for (const line of ascending) {
    line.forEach((low, index) => {
      assert.equal(compareDebianVersions(low, low), 0, low);
      for (const high of line.slice(index + 1)) {
        assert.ok(compareDebianVersions(low, high) < 0, `${low} < ${high}`);
        assert.ok(compareDebianVersions(high, low) > 0, `${high} > ${low}`);
      }
    });
  }
});

test("what dpkg holds equal is equal", () => {
  for (const [a, b] of [
    ["1.0", "1.0-0"],
    ["0:1", "1"],
    ["1.01", "1.1"],
    ["1.0", "1."],
  ] as const) {
    assert.equal(compareDebianVersions(a, b), 0, `${a} = ${b}`);
  }
});

const version = fc.stringMatching(/^(\d{1,2}:)?\d[0-9a-zA-Z.+~]{0,8}(-[0-9a-zA-Z.+~]{1,5})?$/);

test("the order is total", () => {
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      const ab = Math.sign(compareDebianVersions(a, b));
      assert.equal(ab, -Math.sign(compareDebianVersions(b, a)) + 0);
      if (ab <= 0 && compareDebianVersions(b, c) <= 0) assert.ok(compareDebianVersions(a, c) <= 0);
    }),
  );
});
