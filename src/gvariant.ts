/**
 * Reads GVariant's serialized form, which libostree stores commits and the staged deployment in
 * (GLib, "GVariant Serialization Format"). Little endian, as on every machine that Atoll runs on.
 * Reading the files costs nothing; asking `ostree` for each field costs a process each.
 */
import { AtollError } from "./errors.ts";

/** A decoded value. `ay` becomes a Buffer, a dictionary a Map, a variant the value in it. */
export type GValue = boolean | number | bigint | string | Buffer | readonly GValue[] | GDictionary;
export type GDictionary = ReadonlyMap<string, GValue>;

/** A type string taken apart. `size` is null when values differ in size. */
interface GType {
  readonly kind: string;
  readonly align: number;
  readonly size: number | null;
  /** Of an array its element, of a tuple or dictionary entry its members. */
  readonly items: readonly GType[];
}

const basicSizes: Readonly<Record<string, number>> = {
  b: 1,
  y: 1,
  n: 2,
  q: 2,
  i: 4,
  u: 4,
  h: 4,
  x: 8,
  t: 8,
  d: 8,
};

/**
 * Decodes `bytes` as one value of the type that `typeString` names.
 * Errors: GVARIANT_INVALID for bytes that no serializer writes, or an unknown type.
 */
export function decodeVariant(typeString: string, bytes: Buffer): GValue {
  return decode(parseType(typeString), bytes, 0);
}

/** Variants hold variants; a file that nests deeper than this is damaged or hostile. */
const deepest = 32;

function invalid(problem: string): AtollError {
  return new AtollError("GVARIANT_INVALID", { problem });
}

function parseType(text: string): GType {
  const { type, rest } = takeType(text);
  if (rest !== "") throw invalid(`the type "${text}" has more than one value`);
  return type;
}

function takeType(text: string): { type: GType; rest: string } {
  const kind = text.charAt(0);
  const size = basicSizes[kind];
  if (size !== undefined) return { type: { kind, align: size, size, items: [] }, rest: text.slice(1) };
  if (kind === "s" || kind === "o" || kind === "g") {
    return { type: { kind: "s", align: 1, size: null, items: [] }, rest: text.slice(1) };
  }
  if (kind === "v") return { type: { kind, align: 8, size: null, items: [] }, rest: text.slice(1) };
  if (kind === "a") {
    const { type: item, rest } = takeType(text.slice(1));
    return { type: { kind, align: item.align, size: null, items: [item] }, rest };
  }
  if (kind === "(" || kind === "{") return takeTuple(text, kind === "(" ? ")" : "}");
  throw invalid(`the type "${text}" is not known`);
}

function takeTuple(text: string, close: string): { type: GType; rest: string } {
  const items: GType[] = [];
  let rest = text.slice(1);
  while (!rest.startsWith(close)) {
    const taken = takeType(rest);
    items.push(taken.type);
    rest = taken.rest;
  }
  const align = Math.max(1, ...items.map((item) => item.align));
  return { type: { kind: text.charAt(0), align, size: fixedSize(items, align), items }, rest: rest.slice(1) };
}

function fixedSize(items: readonly GType[], align: number): number | null {
  let end = 0;
  for (const item of items) {
    if (item.size === null) return null;
    end = roundUp(end, item.align) + item.size;
  }
  // The unit type `()` takes one byte.
  return items.length === 0 ? 1 : roundUp(end, align);
}

function roundUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

function decode(type: GType, bytes: Buffer, depth: number): GValue {
  if (depth > deepest) throw invalid("it is nested too deep");
  if (type.size !== null && bytes.length !== type.size) {
    throw invalid(`a "${type.kind}" of ${bytes.length} bytes`);
  }
  switch (type.kind) {
    case "a":
      return decodeArray(type, bytes, depth);
    case "(":
    case "{":
      return decodeTuple(type, bytes, depth);
    case "v":
      return decodeNested(bytes, depth);
    case "s":
      return decodeString(bytes);
    default:
      return decodeNumber(type.kind, bytes);
  }
}

function decodeNumber(kind: string, bytes: Buffer): GValue {
  switch (kind) {
    case "b":
      return bytes.readUInt8() !== 0;
    case "y":
      return bytes.readUInt8();
    case "n":
      return bytes.readInt16LE();
    case "q":
      return bytes.readUInt16LE();
    case "i":
    case "h":
      return bytes.readInt32LE();
    case "u":
      return bytes.readUInt32LE();
    case "x":
      return bytes.readBigInt64LE();
    case "t":
      return bytes.readBigUInt64LE();
    default:
      return bytes.readDoubleLE();
  }
}

function decodeString(bytes: Buffer): string {
  if (bytes.at(-1) !== 0) throw invalid("a string without its end");
  return bytes.toString("utf8", 0, bytes.length - 1);
}

function decodeNested(bytes: Buffer, depth: number): GValue {
  const split = bytes.lastIndexOf(0);
  if (split < 0) throw invalid("a variant without a type");
  return decode(parseType(bytes.toString("latin1", split + 1)), bytes.subarray(0, split), depth + 1);
}

/** Bytes that each framing offset takes in a container of `length` bytes. */
function offsetSize(length: number): 1 | 2 | 4 {
  if (length <= 0xff) return 1;
  return length <= 0xffff ? 2 : 4;
}

function decodeArray(type: GType, bytes: Buffer, depth: number): GValue {
  const [item] = type.items;
  if (!item) throw invalid("an array of nothing");
  if (item.kind === "y") return Buffer.from(bytes);
  const parts = item.size === null ? variableParts(item, bytes) : fixedParts(item.size, bytes);
  const values = parts.map((part) => decode(item, part, depth + 1));
  if (item.kind !== "{") return values;
  const dictionary = new Map<string, GValue>();
  for (const entry of values) {
    if (!Array.isArray(entry)) throw invalid("a dictionary without entries");
    const [key, value] = entry;
    if (value !== undefined) dictionary.set(String(key), value);
  }
  return dictionary;
}

function fixedParts(size: number, bytes: Buffer): Buffer[] {
  if (bytes.length % size !== 0) throw invalid(`an array of ${bytes.length} bytes with items of ${size}`);
  return Array.from({ length: bytes.length / size }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

function variableParts(item: GType, bytes: Buffer): Buffer[] {
  if (bytes.length === 0) return [];
  const width = offsetSize(bytes.length);
  if (bytes.length < width) throw invalid("an array without its table");
  const table = bytes.readUIntLE(bytes.length - width, width);
  if (table > bytes.length || (bytes.length - table) % width !== 0)
    throw invalid("an array whose table is off");
  const parts: Buffer[] = [];
  let start = 0;
  for (let at = table; at < bytes.length; at += width) {
    const end = bytes.readUIntLE(at, width);
    if (end < start || end > table) throw invalid("an array item out of place");
    parts.push(bytes.subarray(start, end));
    start = roundUp(end, item.align);
  }
  return parts;
}

function decodeTuple(type: GType, bytes: Buffer, depth: number): GValue {
  const width = offsetSize(bytes.length);
  // Ends of the variable-sized members but the last, written from the back.
  let table = bytes.length;
  let start = 0;
  return type.items.map((item, index) => {
    start = roundUp(start, item.align);
    let end: number;
    if (item.size !== null) {
      end = start + item.size;
    } else if (index === type.items.length - 1) {
      end = table;
    } else {
      table -= width;
      if (table < 0) throw invalid("a tuple without its table");
      end = bytes.readUIntLE(table, width);
    }
    if (end < start || end > bytes.length) throw invalid("a tuple member out of place");
    const value = decode(item, bytes.subarray(start, end), depth + 1);
    start = end;
    return value;
  });
}
