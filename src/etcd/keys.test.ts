import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { wireKeys } from "./keys.ts";

test("a prefix covers exactly the keys that begin with it", () => {
  const text = fc.string({
    unit: fc.constantFrom("a", "b", "\u007f", "é", "\uffff", "\u{10ffff}"),
    maxLength: 3,
  });
  fc.assert(
    fc.property(text, text, (prefix, key) => {
      fc.pre(key !== "");
      const { key: from, rangeEnd } = wireKeys({ prefix });
      const bytes = Buffer.from(key);
      // A zero byte as the end means: no end.
      const open = rangeEnd.equals(Buffer.from([0]));
      const covered = from.compare(bytes) <= 0 && (open || bytes.compare(rangeEnd) < 0);
      assert.equal(covered, bytes.subarray(0, Buffer.byteLength(prefix)).equals(Buffer.from(prefix)));
    }),
  );
});
