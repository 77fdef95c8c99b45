import { createHash } from "node:crypto";
import type { LockedPackage } from "./lock.ts";

/** A part of the tree that is no Debian package. */
export interface OtherPart {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
}

interface SbomInput {
  readonly name: string;
  readonly version: string;
  /** Names all that the tree was made from. */
  readonly treeId: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly suite: string;
  readonly packages: readonly LockedPackage[];
  readonly others: readonly OtherPart[];
}

/**
 * The software bill of materials of a tree: SPDX 2.3 as compact JSON (https://spdx.github.io/spdx-spec/v2.3/). Debian
 * packages carry their hash and a package URL (purl-spec, type deb) with the source package that they were built from.
 */
export function spdxDocument(input: SbomInput): string {
  const packages = [
    ...input.packages.map((locked) => debianPart(locked, input.suite)),
    ...input.others.map(otherPart),
  ];
  return JSON.stringify({
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `${input.name}-${input.version}`,
    documentNamespace: `urn:uuid:${uuidOf([input.name, input.version, input.treeId])}`,
    creationInfo: {
      created: `${new Date(input.timestamp * 1000).toISOString().slice(0, 19)}Z`,
      creators: ["Tool: atoll-compose"],
    },
    documentDescribes: packages.map(({ SPDXID }) => SPDXID),
    packages,
  });
}

/**
 * The document's namespace must be a URI of its own and need lead nowhere (SPDX 2.3, 6.5). A UUID is one without owning
 * a domain: version 8 (RFC 9562, 5.8), made of a hash, so that the same tree gives the same document.
 */
function uuidOf(words: readonly string[]): string {
  const bytes = createHash("sha256").update(JSON.stringify(words)).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function debianPart(locked: LockedPackage, suite: string) {
  const { name, version, arch, source, sourceVersion, sha256 } = locked;
  const upstream =
    source === name && sourceVersion === version ? "" : `&upstream=${source}%40${purlText(sourceVersion)}`;
  const purl = `pkg:deb/debian/${purlText(name)}@${purlText(version)}?arch=${arch}&distro=${suite}${upstream}`;
  return {
    SPDXID: identifier(name),
    name,
    versionInfo: version,
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    checksums: [{ algorithm: "SHA256", checksumValue: sha256 }],
    externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: purl }],
  };
}

function otherPart({ name, version, licence }: OtherPart) {
  return {
    SPDXID: identifier(`other-${name}`),
    name,
    versionInfo: version,
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    licenseDeclared: licence,
  };
}

/** SPDX identifiers hold letters, digits, dots and hyphens only; `+` is the one other character of package names. */
function identifier(name: string): string {
  return `SPDXRef-${name.replaceAll("+", "-plus")}`;
}

/** Percent-encodes as package URLs want: a colon stays. */
function purlText(text: string): string {
  return encodeURIComponent(text).replaceAll("%3A", ":");
}
