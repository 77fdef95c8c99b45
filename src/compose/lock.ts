import { createHash } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import Type from "typebox";
import { Compile } from "typebox/compile";
import { AtollError, isSystemError } from "../errors.ts";

const LockedPackageSchema = Type.Object({
  name: Type.String(),
  version: Type.String(),
  arch: Type.String(),
  source: Type.String(),
  sourceVersion: Type.String(),
  archive: Type.Union([Type.Literal("main"), Type.Literal("security")]),
  path: Type.String({ pattern: "^pool/[A-Za-z0-9+._~%/:-]+\\.deb$" }),
  size: Type.Integer({ minimum: 1 }),
  sha256: Type.String({ pattern: "^[0-9a-f]{64}$" }),
});

const LockSchema = Type.Object({
  format: Type.Literal(1),
  suite: Type.String(),
  resolved: Type.String({ pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$" }),
  request: Type.String(),
  base: Type.Union([Type.String(), Type.Null()]),
  packages: Type.Array(LockedPackageSchema),
  users: Type.Array(Type.String()),
  groups: Type.Array(Type.String()),
});

/** One package, exactly: the file, where it was, and the source package that it was built from. */
export type LockedPackage = Type.Static<typeof LockedPackageSchema>;

/**
 * What a treefile's packages are, exactly. `resolved` is when (UTC); `request` tells whether the treefile has asked for
 * the same packages ever since; `base` is the hash of the lock that this one builds on; `users` and `groups` are lines of passwd(5) and group(5) whose ids the tree first had
 * under this lock, and keeps.
 */
export type Lock = Type.Static<typeof LockSchema>;

/** The lock file of a treefile: beside it, the same name with the suffix .lock. */
export function lockPath(treefile: string): string {
  return `${treefile.replace(/\.ya?ml$/, "")}.lock`;
}

/** Where Debian's archives are looked for, best first; a Treefile has these. */
export interface Mirrors {
  readonly mirrors: readonly string[];
  readonly securityMirrors: readonly string[];
}

/** Packages asked for by name, and where they are looked for; a Treefile is one. */
export interface PackageRequest extends Mirrors {
  /** The file that asks, for errors. */
  readonly path: string;
  readonly suite: string;
  readonly components: readonly string[];
  readonly packages: readonly string[];
  readonly excludePackages: readonly string[];
  readonly kernelPackage: string | null;
}

/** What of a treefile decides which packages a lock holds, as a hash. */
export function lockRequest(treefile: PackageRequest): string {
  const asked = [
    treefile.suite,
    treefile.components,
    wantedPackages(treefile).toSorted(),
    treefile.excludePackages.toSorted(),
  ];
  return createHash("sha256").update(JSON.stringify(asked)).digest("hex").slice(0, 16);
}

/** The packages a treefile asks for by name, its kernel among them. */
export function wantedPackages({ packages, kernelPackage }: PackageRequest): string[] {
  return [...new Set([...packages, ...(kernelPackage === null ? [] : [kernelPackage])])];
}

/**
 * Names what a lock pins: the same packages and ids give the same name, whenever they were resolved.
 * It is part of what the base tree's cache and the tree's id are made from.
 */
export function lockHash(lock: Lock): string {
  const { format, suite, packages, users, groups } = lock;
  const pins = packages.map(({ name, version, arch, sha256 }) => [name, version, arch, sha256]);
  return createHash("sha256")
    .update(JSON.stringify([format, suite, pins, users, groups]))
    .digest("hex");
}

/**
 * Reads the lock at `path`; null when there is none.
 * Errors: LOCK_INVALID.
 */
export async function readLock(path: string): Promise<Lock | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return null;
    throw error;
  }
  return parseLock(path, text);
}

/** Parses a lock's `text`; `path` only names it in errors. Errors: LOCK_INVALID. */
export function parseLock(path: string, text: string): Lock {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AtollError(
      "LOCK_INVALID",
      { file: path, problem: error instanceof Error ? error.message : "" },
      error,
    );
  }
  const checker = Compile(LockSchema);
  if (checker.Check(value)) return value;
  const [first] = checker.Errors(value);
  throw new AtollError("LOCK_INVALID", {
    file: path,
    problem: `${first?.instancePath ?? ""} ${first?.message ?? ""}`,
  });
}

/** A lock as text: JSON with one package a line, so that version control shows what moved. */
export function formatLock(lock: Lock): string {
  const lines = (values: readonly unknown[]) =>
    values.length === 0
      ? "[]"
      : `[\n${values.map((value) => `    ${JSON.stringify(value)}`).join(",\n")}\n  ]`;
  const { format, suite, resolved, request, base, packages, users, groups } = lock;
  const head = Object.entries({ format, suite, resolved, request, base }).map(
    ([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`,
  );
  return `{\n${head.join("")}  "packages": ${lines(packages)},\n  "users": ${lines(users)},\n  "groups": ${lines(groups)}\n}\n`;
}

/** Writes a lock whole or not at all. */
export async function writeLock(path: string, lock: Lock): Promise<void> {
  await writeFile(`${path}.new`, formatLock(lock));
  await rename(`${path}.new`, path);
}
