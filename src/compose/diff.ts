import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import Type from "typebox";
import { Compile } from "typebox/compile";
import { AtollError } from "../errors.ts";
import { diffPackages, type PackageChange, type PackageVersion } from "../packages.ts";
import { exists } from "../paths.ts";
import type { Progress } from "../progress.ts";
import { type ChangelogEntry, changelogText, cvesIn, entriesBetween, parseChangelog } from "./changelog.ts";
import { type Release, readMetadata, readRefs, readReleases } from "./repository.ts";
import type { Toolbox } from "./toolbox.ts";

/** A package in another version, with what its changelog says of the way between the two. */
export interface ExplainedChange extends PackageChange {
  /** The newest first. Null when the package's file is not in the cache, or has no changelog. */
  readonly entries: readonly ChangelogEntry[] | null;
  readonly cves: readonly string[];
}

/** What leads from one tree to another. */
export interface CommitDiff {
  readonly from: Release;
  readonly to: Release;
  readonly added: readonly PackageVersion[];
  readonly removed: readonly PackageVersion[];
  readonly upgraded: readonly ExplainedChange[];
  /** Their entries are those that are taken back. */
  readonly downgraded: readonly ExplainedChange[];
  /** Named by the entries of all upgraded packages: what the newer tree mends. */
  readonly cves: readonly string[];
}

interface DiffOptions {
  readonly repository: string;
  /** Versions, or checksums or unique beginnings of them (7 digits at least). */
  readonly from: string;
  readonly to: string;
  readonly toolbox: Toolbox;
  /** `cacheDirectory()`: where the packages' files are. */
  readonly cache: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

const PackagesSchema = Type.Array(
  Type.Object({ name: Type.String(), version: Type.String(), arch: Type.String() }),
);
const SbomSchema = Type.Object({
  packages: Type.Array(
    Type.Object({
      name: Type.String(),
      versionInfo: Type.String(),
      checksums: Type.Optional(
        Type.Array(Type.Object({ algorithm: Type.String(), checksumValue: Type.String() })),
      ),
    }),
  ),
});

/**
 * Tells what packages one tree has that another has not or has in another version, with the changelog entries between
 * the two and the CVE numbers that they name. Changelogs come out of the packages' files in the cache.
 * Errors: RELEASE_UNKNOWN, RELEASE_UNDESCRIBED, COMMAND_FAILED, INTERRUPTED.
 */
export async function diffCommits(options: DiffOptions): Promise<CommitDiff> {
  const { repository, progress } = options;
  progress.step("comparing packages");
  const refs = await readRefs(repository, options);
  const releases = (await Promise.all(refs.map((ref) => readReleases(repository, ref, options)))).flat();
  const from = findRelease(releases, options.from, repository);
  const to = findRelease(releases, options.to, repository);
  const [before, after] = [await describe(from, options), await describe(to, options)];
  const { added, removed, upgraded, downgraded } = diffPackages(before.packages, after.packages);
  const changed = upgraded.length + downgraded.length;
  if (changed > 0) progress.step("reading changelogs");
  let done = 0;
  const explain = async (change: PackageChange, newer: Described, low: string, high: string) => {
    done += 1;
    progress.detail(`${done} of ${changed}: ${change.name}`);
    const all = await readEntries([change.name, ...siblings(change.name, high, newer)], newer, options);
    const entries = all && entriesBetween(all, sourceVersion(low), sourceVersion(high));
    return { ...change, entries, cves: cvesIn(entries?.map(({ text }) => text).join("\n") ?? "") };
  };
  const up: ExplainedChange[] = [];
  for (const change of upgraded) up.push(await explain(change, after, change.from, change.to));
  const down: ExplainedChange[] = [];
  for (const change of downgraded) down.push(await explain(change, before, change.to, change.from));
  const cves = cvesIn(up.flatMap((change) => change.cves).join(" "));
  return { from, to, added, removed, upgraded: up, downgraded: down, cves };
}

/** The release that a person means by a version or by the beginning of a checksum. */
export function findRelease(releases: readonly Release[], name: string, repository: string): Release {
  const byVersion = releases.filter(({ version }) => version === name);
  const bySum = /^[0-9a-f]{7,64}$/.test(name)
    ? releases.filter(({ checksum }) => checksum.startsWith(name))
    : [];
  const found = new Map([...byVersion, ...bySum].map((release) => [release.checksum, release]));
  const [release] = found.values();
  if (release !== undefined && found.size === 1) return release;
  const known = releases.map(({ version }) => version).slice(0, 8);
  const problem = release === undefined ? "no release is called" : "more than one release is called";
  throw new AtollError("RELEASE_UNKNOWN", { repository, name, problem, known: known.join(", ") || "none" });
}

interface Described {
  readonly packages: readonly PackageVersion[];
  /** Name of a package → SHA-256 of its file. */
  readonly files: ReadonlyMap<string, string>;
}

async function describe(release: Release, options: DiffOptions): Promise<Described> {
  const read = (name: string) => readMetadata(options.repository, release.checksum, name, options);
  const packages: unknown = JSON.parse((await read("atoll.packages")) ?? "null");
  const sbom: unknown = JSON.parse((await read("atoll.sbom")) ?? "null");
  if (!Compile(PackagesSchema).Check(packages)) {
    throw new AtollError("RELEASE_UNDESCRIBED", { version: release.version, checksum: release.checksum });
  }
  const files = new Map<string, string>();
  if (Compile(SbomSchema).Check(sbom)) {
    for (const { name, checksums } of sbom.packages) {
      const sum = checksums?.find(({ algorithm }) => algorithm === "SHA256")?.checksumValue;
      if (sum !== undefined) files.set(name, sum);
    }
  }
  return { packages, files };
}

/** The version of the source package: a rebuild of it (+bN) has no changelog entry of its own. */
function sourceVersion(version: string): string {
  return version.replace(/\+b\d+$/, "");
}

/** Packages of one version with `name`: its source built them as well, and one of them may have the changelog for all. */
function siblings(name: string, version: string, { packages }: Described): string[] {
  return packages.filter((each) => each.version === version && each.name !== name).map((each) => each.name);
}

/** Entries of the changelog that the first of these packages has which has one. */
async function readEntries(
  names: readonly string[],
  described: Described,
  options: DiffOptions,
): Promise<ChangelogEntry[] | null> {
  for (const name of names) {
    const entries = await readOwnEntries(name, described, options);
    if (entries !== null) return entries;
  }
  return null;
}

/**
 * Unpacks from the package $1 into the folder $2 what is called changelog… in its folder $3. That it has none is no
 * failure (its documents are then those of another package), but tar tells of it as it tells of failures.
 */
const unpackChangelogs = `
dpkg-deb --fsys-tarfile "$1" |
  tar -xf - -C "$2" --strip-components=5 --wildcards "$3/changelog*" 2>"$2/complaints" && exit 0
grep -v -e "Not found in archive" -e "Exiting with failure status" "$2/complaints" >&2 && exit 1
exit 0`;

/** Entries of a package's own changelog, out of its file. */
async function readOwnEntries(
  name: string,
  { files }: Described,
  { cache, toolbox, signal }: DiffOptions,
): Promise<ChangelogEntry[] | null> {
  const deb = join(cache, "debs", `${files.get(name) ?? ""}.deb`);
  if (!(await exists(deb))) return null;
  const scratch = await mkdtemp(join(cache, "changelog-"));
  try {
    const doc = `./usr/share/doc/${name}`;
    await toolbox.run(["sh", "-c", unpackChangelogs, "sh", deb, scratch, doc], {
      step: "reading a changelog",
      binds: [cache],
      ...(signal && { signal }),
    });
    const names = await readdir(scratch);
    // Native packages have no changelog but their own.
    const best = ["changelog.Debian.gz", "changelog.Debian", "changelog.gz"].find((each) =>
      names.includes(each),
    );
    if (best === undefined) return null;
    return parseChangelog(changelogText(await readFile(join(scratch, best))));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
