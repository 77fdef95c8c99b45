/**
 * Adds metadata to a commit object as libostree wrote it. Two things need that: a bill of materials is longer than a
 * command line may be, and `ostree.sizes` libostree writes only while it compresses every file anew (20 s for a tree of
 * which one file changed), though all that goes in is known from the repository.
 *
 * A commit is the GVariant `(a{sv}aya(say)sstayay)` (libostree, ostree-core.h), little endian containers. How containers
 * are laid out is GLib's "GVariant Serialization Format": a container of values that differ in size ends in a table of
 * where each ends, in numbers as wide as the container's own length needs.
 */

export interface ObjectSize {
  /** 64 hex digits. */
  readonly checksum: string;
  /** Bytes in an archive repository: what a machine fetches. */
  readonly archived: number;
  /** Bytes on a machine's disk. */
  readonly unpacked: number;
  readonly kind: "file" | "dirtree" | "dirmeta";
}

interface Addition {
  readonly strings: Readonly<Record<string, string>>;
  /** Becomes `ostree.sizes`. */
  readonly sizes: readonly ObjectSize[];
}

/** libostree's OstreeObjectType. */
const kinds = { file: 1, dirtree: 2, dirmeta: 3 } as const;

/** The commit object `commit` with more entries at the end of its metadata, which must not have those keys yet. */
export function withMetadata(commit: Buffer, { strings, sizes }: Addition): Buffer {
  const parts = takeCommit(commit);
  const entries = sizes.toSorted((a, b) => (a.checksum < b.checksum ? -1 : 1)).map(sizeEntry);
  const metadata = appendToDictionary(
    withStrings(parts.metadata, strings),
    "ostree.sizes",
    "aay",
    arrayOfBytes(entries),
  );
  return makeCommit({ ...parts, metadata });
}

/** Detached metadata, as libostree keeps it beside a commit: an `a{sv}`, here of texts. */
export function detachedMetadata(strings: Readonly<Record<string, string>>): Buffer {
  return withStrings(Buffer.alloc(0), strings);
}

function withStrings(dictionary: Buffer, strings: Readonly<Record<string, string>>): Buffer {
  return Object.entries(strings).reduce(
    (sofar, [key, text]) => appendToDictionary(sofar, key, "s", Buffer.from(`${text}\0`)),
    dictionary,
  );
}

/** `ostree.sizes` entries: the checksum, two LEB128 numbers, the object's type (ostree-repo-commit.c). */
function sizeEntry({ checksum, archived, unpacked, kind }: ObjectSize): Buffer {
  return Buffer.concat([
    Buffer.from(checksum, "hex"),
    leb128(archived),
    leb128(unpacked),
    Buffer.from([kinds[kind]]),
  ]);
}

export function leb128(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

interface CommitParts {
  readonly metadata: Buffer;
  /** Parent, related objects, subject, body: their alignment is 1. */
  readonly texts: readonly Buffer[];
  readonly timestamp: Buffer;
  readonly rootTree: Buffer;
  readonly rootMeta: Buffer;
}

/** Members of a commit whose ends its table holds: all but the timestamp, which is fixed, and the last. */
const tabled = 6;

function takeCommit(commit: Buffer): CommitParts {
  const width = offsetWidth(commit.length);
  const ends = Array.from({ length: tabled }, (_, index) =>
    commit.readUIntLE(commit.length - width * (index + 1), width),
  );
  const [end0 = 0, end1 = 0, end2 = 0, end3 = 0, end4 = 0, end5 = 0] = ends;
  const time = aligned(end4, 8);
  return {
    metadata: commit.subarray(0, end0),
    texts: [
      commit.subarray(end0, end1),
      commit.subarray(end1, end2),
      commit.subarray(end2, end3),
      commit.subarray(end3, end4),
    ],
    timestamp: commit.subarray(time, time + 8),
    rootTree: commit.subarray(time + 8, end5),
    rootMeta: commit.subarray(end5, commit.length - width * tabled),
  };
}

function makeCommit({ metadata, texts, timestamp, rootTree, rootMeta }: CommitParts): Buffer {
  const ends = runningSums([metadata, ...texts]);
  const end = ends.at(-1) ?? 0;
  const padding = Buffer.alloc(aligned(end, 8) - end);
  ends.push(end + padding.length + timestamp.length + rootTree.length);
  const body = Buffer.concat([metadata, ...texts, padding, timestamp, rootTree, rootMeta]);
  return withTable(body, ends.toReversed());
}

/** Appends an entry to a serialized a{sv}. */
function appendToDictionary(dictionary: Buffer, key: string, type: string, value: Buffer): Buffer {
  const width = offsetWidth(dictionary.length);
  const last = dictionary.length === 0 ? 0 : dictionary.readUIntLE(dictionary.length - width, width);
  const count = (dictionary.length - last) / width;
  const ends = Array.from({ length: count }, (_, index) =>
    dictionary.readUIntLE(last + index * width, width),
  );
  const padding = Buffer.alloc(aligned(last, 8) - last);
  const body = Buffer.concat([dictionary.subarray(0, last), padding, dictionaryEntry(key, type, value)]);
  return withTable(body, [...ends, body.length]);
}

function dictionaryEntry(key: string, type: string, value: Buffer): Buffer {
  const name = Buffer.from(`${key}\0`);
  const padding = Buffer.alloc(aligned(name.length, 8) - name.length);
  return withTable(Buffer.concat([name, padding, value, Buffer.from(`\0${type}`)]), [name.length]);
}

function arrayOfBytes(items: readonly Buffer[]): Buffer {
  return withTable(Buffer.concat(items), runningSums(items));
}

/** Where each part ends when all lie one after the other. */
function runningSums(parts: readonly Buffer[]): number[] {
  const ends: number[] = [];
  for (const part of parts) ends.push((ends.at(-1) ?? 0) + part.length);
  return ends;
}

/** `body` with its table: as narrow as the length of both together allows. */
function withTable(body: Buffer, ends: readonly number[]): Buffer {
  const width = [1, 2, 4].find((bytes) => body.length + ends.length * bytes < 2 ** (8 * bytes)) ?? 4;
  const table = Buffer.alloc(ends.length * width);
  for (const [index, end] of ends.entries()) table.writeUIntLE(end, index * width, width);
  return Buffer.concat([body, table]);
}

function offsetWidth(length: number): number {
  return length < 2 ** 8 ? 1 : length < 2 ** 16 ? 2 : 4;
}

function aligned(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
