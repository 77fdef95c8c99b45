import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "./errors.ts";
import { decodeVariant } from "./gvariant.ts";

test("reads what GLib's specification gives as examples", () => {
  assert.equal(decodeVariant("s", Buffer.from("hello world\0")), "hello world");
  // (si): ("foo", -1)
  assert.deepEqual(decodeVariant("(si)", Buffer.from("666f6f00ffffffff04", "hex")), ["foo", -1]);
  // a(si): [("hi", -2), ("bye", -1)]
  const list = Buffer.from(
    "686900 00 feffffff 03 000000 62796500 ffffffff 04 09 15".replaceAll(" ", ""),
    "hex",
  );
  assert.deepEqual(decodeVariant("a(si)", list), [
    ["hi", -2],
    ["bye", -1],
  ]);
  // as: ["i", "can", "has", "strings?"]
  const words = Buffer.concat([Buffer.from("i\0can\0has\0strings?\0"), Buffer.from([2, 6, 10, 19])]);
  assert.deepEqual(decodeVariant("as", words), ["i", "can", "has", "strings?"]);
  assert.deepEqual(decodeVariant("ay", Buffer.from([4, 5, 6])), Buffer.from([4, 5, 6]));
  assert.deepEqual(decodeVariant("(yy)", Buffer.from([0x70, 0x80])), [0x70, 0x80]);
  assert.deepEqual(decodeVariant("ai", Buffer.from("0400000002010000", "hex")), [4, 258]);
});

test("a dictionary of variants becomes a map of values", () => {
  // {'ok': <true>}: the key, padding to 8, value, its type after a NUL, the key's end.
  const entry = Buffer.concat([
    Buffer.from("ok\0"),
    Buffer.alloc(5),
    Buffer.from([1, 0]),
    Buffer.from("b"),
    Buffer.from([3]),
  ]);
  const bytes = Buffer.concat([entry, Buffer.from([entry.length])]);
  assert.deepEqual(decodeVariant("a{sv}", bytes), new Map([["ok", true]]));
  assert.deepEqual(decodeVariant("a{sv}", Buffer.alloc(0)), new Map());
});

test("whatever the bytes, it decodes or says that they are invalid", () => {
  const types = fc.constantFrom(
    "a{sv}",
    "(a{sv}aya(say)sstayay)",
    "as",
    "a(si)",
    "v",
    "(yv)",
    "aay",
    "t",
    "b",
  );
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 64 }), (type, bytes) => {
      try {
        decodeVariant(type, Buffer.from(bytes));
      } catch (error) {
        assert.ok(hasCode(error, "GVARIANT_INVALID"), String(error));
      }
    }),
  );
});

/** Serializes an array of strings as the specification says. */
function serialized(words: readonly string[]): Buffer {
  const parts = words.map((word) => Buffer.from(`${word}\0`));
  const body = Buffer.concat(parts);
  const ends: number[] = [];
  let end = 0;
  for (const part of parts) {
    end += part.length;
    ends.push(end);
  }
  const width = body.length + words.length <= 0xff ? 1 : 2;
  const table = Buffer.alloc(ends.length * width);
  for (const [index, value] of ends.entries()) table.writeUIntLE(value, index * width, width);
  return Buffer.concat([body, table]);
}

test("strings come back, in short and in long containers", () => {
  const word = fc.string({ unit: "grapheme-ascii", maxLength: 40 });
  fc.assert(
    fc.property(fc.array(word, { maxLength: 20 }), (words) => {
      assert.deepEqual(decodeVariant("as", serialized(words)), words);
    }),
  );
});
