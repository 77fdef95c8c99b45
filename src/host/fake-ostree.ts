/** What libostree writes for a fake machine: commit objects and the staged deployment, in GVariant. Only for tests. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SysrootPaths } from "./sysroot.ts";

/** A tree that the fake remote may offer, or the fake machine hold. */
export interface FakeTree {
  readonly version: string;
  readonly packages?: readonly { readonly name: string; readonly version: string; readonly arch: string }[];
  readonly parent?: string;
  /** Items of `ostree.sizes`; the commit says nothing of sizes when absent. */
  readonly sizes?: readonly Buffer[];
  /** Signed with a key that nobody trusts any more. */
  readonly refused?: boolean;
}

export function checksumOf(version: string): string {
  return Buffer.from(version).toString("hex").padEnd(64, "0");
}

export function treeIdOf(version: string): string {
  return Buffer.from(version).toString("hex").padEnd(16, "0").slice(0, 16);
}

/** Puts a commit object into the repository. */
export async function writeTree({ root }: SysrootPaths, tree: FakeTree): Promise<void> {
  const checksum = checksumOf(tree.version);
  const folder = join(root, "ostree/repo/objects", checksum.slice(0, 2));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${checksum.slice(2)}.commit`), commitFile(tree));
}

/** A tuple or a list of parts, as GVariant serializes it; short enough for one byte of offset. */
function framed(
  parts: readonly { readonly bytes: Buffer; readonly align: number; readonly fixed: boolean }[],
): {
  body: Buffer;
  ends: number[];
} {
  let body = Buffer.alloc(0);
  const ends: number[] = [];
  for (const { bytes, align } of parts) {
    body = Buffer.concat([body, Buffer.alloc((align - (body.length % align)) % align), bytes]);
    ends.push(body.length);
  }
  return { body, ends };
}

function offsets(length: number, ends: readonly number[]): Buffer {
  for (const width of [1, 2, 4]) {
    if (length + ends.length * width > 2 ** (8 * width) - 1) continue;
    const table = Buffer.alloc(ends.length * width);
    for (const [index, end] of ends.entries()) table.writeUIntLE(end, index * width, width);
    return table;
  }
  throw new RangeError("too long");
}

interface Part {
  readonly bytes: Buffer;
  readonly align: number;
  readonly fixed: boolean;
}

function tuple(parts: readonly Part[]): Buffer {
  const { body, ends } = framed(parts);
  const variable = ends
    .filter((_, index) => parts[index]?.fixed === false && index < parts.length - 1)
    .reverse();
  return Buffer.concat([body, offsets(body.length, variable)]);
}

function list(items: readonly Buffer[], align: number): Buffer {
  const { body, ends } = framed(items.map((bytes) => ({ bytes, align, fixed: false })));
  return Buffer.concat([body, offsets(body.length, ends)]);
}

const string = (text: string): Part => ({ bytes: Buffer.from(`${text}\0`), align: 1, fixed: false });
const bytesPart = (bytes: Buffer, align = 1): Part => ({ bytes, align, fixed: false });

type Simple = string | readonly string[] | { readonly name: string } | { readonly items: readonly Buffer[] };

/** `a{sv}` of strings, lists of strings, dictionaries of strings and lists of bytes. */
function dictionary(entries: Readonly<Record<string, Simple>>): Buffer {
  const items = Object.entries(entries).map(([key, value]) => {
    const [bytes, type] = serialize(value);
    return tuple([string(key), bytesPart(Buffer.concat([bytes, Buffer.from(`\0${type}`)]), 8)]);
  });
  return list(items, 8);
}

function serialize(value: Simple): [Buffer, string] {
  if (typeof value === "string") return [Buffer.from(`${value}\0`), "s"];
  if ("items" in value) return [list(value.items, 1), "aay"];
  if (!("name" in value))
    return [
      list(
        value.map((word) => Buffer.from(`${word}\0`)),
        1,
      ),
      "as",
    ];
  return [dictionary({ name: value.name }), "a{sv}"];
}

function commitFile({ version, packages, parent, sizes }: FakeTree): Buffer {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(1_700_000_000n);
  const metadata = dictionary({
    version,
    "atoll.tree-id": treeIdOf(version),
    ...(packages ? { "atoll.packages": JSON.stringify(packages) } : {}),
    ...(sizes ? { "ostree.sizes": { items: sizes } } : {}),
  });
  return tuple([
    bytesPart(metadata, 8),
    bytesPart(parent === undefined ? Buffer.alloc(0) : Buffer.from(checksumOf(parent), "hex")),
    bytesPart(Buffer.alloc(0)),
    string("subject"),
    string(""),
    { bytes: time, align: 8, fixed: true },
    bytesPart(Buffer.alloc(32)),
    bytesPart(Buffer.alloc(32)),
  ]);
}

/** /run/ostree/staged-deployment. */
export function stagedFile(directory: string, kernelArguments: readonly string[]): Buffer {
  return dictionary({ target: { name: directory }, kargs: [...kernelArguments] });
}
