/** What differs between the packages of two trees. */
import { compareDebianVersions } from "./debian-version.ts";

export interface PackageVersion {
  readonly name: string;
  readonly version: string;
  readonly arch: string;
}

export interface PackageChange {
  readonly name: string;
  readonly arch: string;
  readonly from: string;
  readonly to: string;
}

/** Packages of one tree against another's, each list sorted by name. */
export interface PackageDiff {
  readonly added: readonly PackageVersion[];
  readonly removed: readonly PackageVersion[];
  readonly upgraded: readonly PackageChange[];
  readonly downgraded: readonly PackageChange[];
}

/** Packages of `to` against those of `from`, by name and architecture. */
export function diffPackages(from: readonly PackageVersion[], to: readonly PackageVersion[]): PackageDiff {
  const before = new Map(from.map((entry) => [keyOf(entry), entry]));
  const after = new Map(to.map((entry) => [keyOf(entry), entry]));
  const changes: { readonly change: PackageChange; readonly order: number }[] = [];
  for (const [key, { name, arch, version }] of after) {
    const old = before.get(key);
    if (old === undefined || old.version === version) continue;
    const order = compareDebianVersions(old.version, version);
    if (order !== 0) changes.push({ change: { name, arch, from: old.version, to: version }, order });
  }
  return {
    added: to.filter((entry) => !before.has(keyOf(entry))).toSorted(byName),
    removed: from.filter((entry) => !after.has(keyOf(entry))).toSorted(byName),
    upgraded: changes
      .filter(({ order }) => order < 0)
      .map(({ change }) => change)
      .toSorted(byName),
    downgraded: changes
      .filter(({ order }) => order > 0)
      .map(({ change }) => change)
      .toSorted(byName),
  };
}

function keyOf({ name, arch }: PackageVersion): string {
  return `${name}:${arch}`;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : Number(a.name > b.name);
}
