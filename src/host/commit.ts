/** Commits as libostree stores them: `(a{sv}aya(say)sstayay)`, the timestamp big endian (ostree-core.h). */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError, hasCode, isSystemError } from "../errors.ts";
import { decodeVariant, type GDictionary, type GValue } from "../gvariant.ts";
import type { PackageVersion } from "./model.ts";

/** One object that a commit holds, from its `ostree.sizes`. */
export interface SizedObject {
  readonly checksum: string;
  /** As fetched from an archive repository, when it is fetched on its own. */
  readonly fetched: number;
  /** As stored on this host. */
  readonly unpacked: number;
  readonly kind: "file" | "dirtree" | "dirmeta" | "other";
}

export interface Commit {
  readonly checksum: string;
  readonly parent: string | null;
  readonly subject: string;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly version: string | null;
  readonly treeId: string | null;
  /** Null when the commit does not say. */
  readonly packages: readonly PackageVersion[] | null;
  /** Null when the commit does not say. */
  readonly sizes: readonly SizedObject[] | null;
}

/**
 * Reads the commit `checksum` from the repository at `repo`; null when it is not there.
 * Errors: COMMIT_UNREADABLE.
 */
export async function readCommit(repo: string, checksum: string): Promise<Commit | null> {
  const path = join(repo, "objects", checksum.slice(0, 2), `${checksum.slice(2)}.commit`);
  try {
    return parseCommit(checksum, await readFile(path));
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return null;
    const problem = error instanceof Error ? error.message : String(error);
    throw new AtollError("COMMIT_UNREADABLE", { checksum, problem }, error);
  }
}

/** As `readCommit`, and null too when it cannot be read: for those to whom it is one fact among many. */
export async function readCommitIfWhole(repo: string, checksum: string): Promise<Commit | null> {
  try {
    return await readCommit(repo, checksum);
  } catch (error) {
    if (hasCode(error, "COMMIT_UNREADABLE")) return null;
    throw error;
  }
}

/** The commit that `bytes` hold. Errors: GVARIANT_INVALID; COMMIT_UNREADABLE when a field is not what it should be. */
export function parseCommit(checksum: string, bytes: Buffer): Commit {
  const value = decodeVariant("(a{sv}aya(say)sstayay)", bytes);
  if (!Array.isArray(value)) throw new AtollError("COMMIT_UNREADABLE", { checksum, problem: "no tuple" });
  const [metadata, parent, , subject, , timestamp] = value;
  if (!(metadata instanceof Map) || !Buffer.isBuffer(parent) || typeof timestamp !== "bigint") {
    throw new AtollError("COMMIT_UNREADABLE", { checksum, problem: "fields of other types" });
  }
  return {
    checksum,
    parent: parent.length === 0 ? null : parent.toString("hex"),
    subject: typeof subject === "string" ? subject : "",
    timestamp: new Date(Number(swapped(timestamp)) * 1000).toISOString(),
    version: text(metadata, "version"),
    treeId: text(metadata, "atoll.tree-id"),
    packages: packagesOf(checksum, text(metadata, "atoll.packages")),
    sizes: sizesOf(metadata.get("ostree.sizes")),
  };
}

/** A number read in little endian that was written in big endian. */
function swapped(value: bigint): bigint {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes.readBigUInt64BE();
}

function text(metadata: GDictionary, key: string): string | null {
  const value = metadata.get(key);
  return typeof value === "string" ? value : null;
}

function packagesOf(checksum: string, json: string | null): readonly PackageVersion[] | null {
  if (json === null) return null;
  const list: unknown = JSON.parse(json);
  if (Array.isArray(list) && list.every(isPackageVersion)) {
    return list.map(({ name, version, arch }) => ({ name, version, arch }));
  }
  throw new AtollError("COMMIT_UNREADABLE", { checksum, problem: "atoll.packages is no list of packages" });
}

function isPackageVersion(value: unknown): value is PackageVersion {
  return (
    typeof value === "object" &&
    value !== null &&
    "name" in value &&
    typeof value.name === "string" &&
    "version" in value &&
    typeof value.version === "string" &&
    "arch" in value &&
    typeof value.arch === "string"
  );
}

/** `ostree.sizes` is `aay`; each item: 32 bytes of checksum, two variable-length sizes, since 2020.1 the kind of object. */
function sizesOf(value: GValue | undefined): readonly SizedObject[] | null {
  if (!Array.isArray(value)) return null;
  const items = value.filter((item) => Buffer.isBuffer(item));
  // No tree has no objects: an empty list tells nothing.
  return items.length === 0 ? null : items.map(sizedObject);
}

const objectKinds: Readonly<Record<number, SizedObject["kind"]>> = { 1: "file", 2: "dirtree", 3: "dirmeta" };

function sizedObject(item: Buffer): SizedObject {
  const fetched = variableLength(item, 32);
  const unpacked = variableLength(item, fetched.next);
  return {
    checksum: item.toString("hex", 0, 32),
    fetched: fetched.value,
    unpacked: unpacked.value,
    kind: objectKinds[item[unpacked.next] ?? 0] ?? "other",
  };
}

/** A number in groups of seven bits, lowest first; the top bit says that more follow (protobuf's varint). */
function variableLength(bytes: Buffer, start: number): { value: number; next: number } {
  let value = 0;
  let scale = 1;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes.readUInt8(at);
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, next: at + 1 };
    scale *= 128;
  }
  throw new AtollError("GVARIANT_INVALID", { problem: "a size without its end" });
}
