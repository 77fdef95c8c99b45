import { gunzipSync } from "node:zlib";
import { compareDebianVersions } from "../debian-version.ts";

/** One entry of a Debian changelog (Debian policy 4.4). */
export interface ChangelogEntry {
  readonly version: string;
  /** As the maintainer's line says it: RFC 5322. */
  readonly date: string;
  /** What changed: lines without the indentation that all of them have. */
  readonly text: string;
  /** CVE numbers that the text names, in order, each once. */
  readonly cves: readonly string[];
}

/**
 * Reads the entries of a Debian changelog, the newest first. What is no entry is passed over: old changelogs hold what
 * their maintainers' editors left there.
 */
export function parseChangelog(text: string): ChangelogEntry[] {
  const entries: ChangelogEntry[] = [];
  let version: string | null = null;
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    const heading = /^\S+ \(([^()\s]+)\) [^;]*;/.exec(line);
    const trailer = line.startsWith(" -- ");
    if (heading) {
      version = heading[1] ?? null;
      lines = [];
    } else if (trailer && version !== null) {
      const body = lines
        .map((each) => each.replace(/^ {2}/, ""))
        .join("\n")
        .trim();
      entries.push({
        version,
        date: /(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), .*$/.exec(line)?.[0] ?? "",
        text: body,
        cves: cvesIn(body),
      });
      version = null;
    } else if (version !== null) lines.push(line.trimEnd());
  }
  return entries;
}

/** The entries of versions after `from`, up to and with `to`. */
export function entriesBetween(
  entries: readonly ChangelogEntry[],
  from: string,
  to: string,
): ChangelogEntry[] {
  return entries.filter(
    ({ version }) => compareDebianVersions(version, from) > 0 && compareDebianVersions(version, to) <= 0,
  );
}

/** CVE numbers in `text`, each once, in the order of their years and numbers. */
export function cvesIn(text: string): string[] {
  return [...new Set(text.match(/CVE-\d{4}-\d{4,}/g))].toSorted((a, b) => cveOrder(a) - cveOrder(b));
}

function cveOrder(cve: string): number {
  const [, year = "0", number = "0"] = cve.split("-");
  return Number(year) * 1e9 + Number(number);
}

/** A changelog as packages carry it: compressed, by policy, unless it is very short. */
export function changelogText(bytes: Buffer): string {
  const compressed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return (compressed ? gunzipSync(bytes) : bytes).toString("utf8");
}
