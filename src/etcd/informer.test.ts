import assert from "node:assert/strict";
import { test } from "node:test";
import { difference } from "./informer.ts";
import type { KeyValue } from "./keys.ts";

test("a list says what changed since: deletions first, then what was written, also at the same revision", () => {
  const known = new Map(
    [item("same", "1", 5), item("gone", "1", 6), item("later", "1", 7), item("restored", "1", 8)].map(
      (each) => [each.key, each],
    ),
  );
  const items = [item("later", "1", 9), item("new", "1", 9), item("restored", "2", 8), item("same", "1", 5)];
  const changes = difference(known, { revision: 20, items });
  assert.deepEqual(
    changes.map(({ type, item: { key, modRevision }, previous }) => [
      type,
      key,
      modRevision,
      previous?.value.toString(),
    ]),
    [
      ["delete", "gone", 20, "1"],
      ["put", "later", 9, "1"],
      ["put", "new", 9, undefined],
      ["put", "restored", 8, "1"],
    ],
  );
});

function item(key: string, value: string, modRevision: number): KeyValue {
  return { key, value: Buffer.from(value), createRevision: 1, modRevision, version: 1, lease: 0n };
}
