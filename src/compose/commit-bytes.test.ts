import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeVariant } from "../gvariant.ts";
import { leb128, type ObjectSize, withMetadata } from "./commit-bytes.ts";

/** An empty tree as libostree 2025.2 commits it, with `--timestamp=@1 -s subject --add-metadata-string=version=1`. */
const written = Buffer.from(
  "76657273696f6e0031000073080d7375626a65637400000000000000000000016e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511" +
    "a30617afa01d446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c54884017160e0e0e",
  "hex",
);
const type = "(a{sv}aya(say)sstayay)";

const size: fc.Arbitrary<ObjectSize> = fc.record({
  checksum: fc.string({
    unit: fc.constantFrom(..."0123456789abcdef".split("")),
    minLength: 64,
    maxLength: 64,
  }),
  archived: fc.nat(),
  unpacked: fc.nat(),
  kind: fc.constantFrom("file" as const, "dirtree" as const, "dirmeta" as const),
});
const text = fc.string({ unit: "grapheme-ascii", maxLength: 300 });

describe("withMetadata", () => {
  test("adds entries at the end and leaves all else as it was", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: fc.constantFrom(..."abc.-".split("")), minLength: 1 }), text, {
          maxKeys: 5,
        }),
        fc.array(size, { maxLength: 300 }),
        (strings, sizes) => {
          const [metadata, ...rest] = fields(withMetadata(written, { strings, sizes }));
          const [, ...before] = fields(written);
          assert.deepEqual(rest, before);
          assert.ok(metadata instanceof Map);
          const keys = ["version", ...Object.keys(strings), "ostree.sizes"];
          assert.deepEqual([...metadata.keys()], keys);
          assert.equal(metadata.get("version"), "1");
          for (const [key, value] of Object.entries(strings)) assert.equal(metadata.get(key), value);
          assert.equal(list(metadata.get("ostree.sizes")).length, sizes.length);
        },
      ),
    );
  });

  test("keeps texts longer than a command line may hold", () => {
    const long = "x".repeat(200_000);
    const [metadata] = fields(withMetadata(written, { strings: { long }, sizes: [] }));
    assert.ok(metadata instanceof Map);
    assert.equal(metadata.get("long"), long);
  });

  test("lists sizes by checksum, as libostree does", () => {
    const [high, low] = ["ff".repeat(32), "00".repeat(32)];
    const object = { archived: 300, unpacked: 5, kind: "dirtree" as const };
    const sizes = [
      { ...object, checksum: high },
      { ...object, checksum: low },
    ];
    const [metadata] = fields(withMetadata(written, { strings: {}, sizes }));
    assert.ok(metadata instanceof Map);
    assert.deepEqual(
      list(metadata.get("ostree.sizes")).map((entry) => entry.toString("hex")),
      [`${low}ac020502`, `${high}ac020502`],
    );
  });
});

function fields(commit: Buffer): unknown[] {
  const value = decodeVariant(type, commit);
  assert.ok(Array.isArray(value));
  return value;
}

function list(value: unknown): Buffer[] {
  assert.ok(Array.isArray(value));
  return value.filter((entry) => Buffer.isBuffer(entry));
}

test("leb128 writes seven bits a byte, the lowest first", () => {
  assert.deepEqual([...leb128(0)], [0]);
  assert.deepEqual([...leb128(127)], [0x7f]);
  assert.deepEqual([...leb128(300)], [0xac, 0x02]);
  assert.deepEqual([...leb128(2 ** 40)], [0x80, 0x80, 0x80, 0x80, 0x80, 0x20]);
});
