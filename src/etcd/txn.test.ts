import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../errors.ts";
import { TxnRequest } from "./generated/etcd.ts";
import { compare, type Operation, splitTransaction, wireTransaction } from "./txn.ts";

const fence = [compare.createRevision("leader", "=", 7)];

test("operations are split in their order, none lost, each part within the limits and under the conditions", () => {
  const operation = fc.record({
    kind: fc.constant("put" as const),
    key: fc.string(),
    value: fc.string({ maxLength: 300 }),
  });
  const limits = { operations: 5, bytes: 2000 };
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const parts = splitTransaction(fence, operations, limits);
      assert.deepEqual(
        parts.flatMap((part) => part.do),
        operations,
      );
      for (const part of parts) {
        assert.deepEqual(part.if, fence);
        assert.ok(part.do.length > 0 && part.do.length <= limits.operations);
        assert.ok(TxnRequest.encode(wireTransaction(part, limits)).finish().length <= limits.bytes);
      }
    }),
  );
});

test("what fits goes at once; what is too large alone is refused before anything is done", () => {
  const small: Operation[] = Array.from({ length: 128 }, (_, n) => ({ kind: "put", key: `${n}`, value: "" }));
  assert.equal(splitTransaction(fence, small).length, 1);
  const large: Operation = { kind: "put", key: "large", value: Buffer.alloc(2_000_000) };
  assert.throws(
    () => splitTransaction(fence, [...small, large]),
    (error) => hasCode(error, "ETCD_TXN_TOO_LARGE"),
  );
});
