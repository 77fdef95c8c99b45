import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError, hasCode } from "../errors.ts";
import type { Progress } from "../progress.ts";
import { makeDebRepository } from "./deb-repository.ts";
import { type Lock, type LockedPackage, lockRequest, type PackageRequest, wantedPackages } from "./lock.ts";
import type { Toolbox } from "./toolbox.ts";

interface ResolveOptions {
  readonly toolbox: Toolbox;
  /** Scratch folder under the cache; apt's lists stay there, so that the next time is quicker. */
  readonly work: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  readonly cache: string;
  /** The lock before this one: its ids are kept. */
  readonly before: Lock | null;
  /** A lock whose versions are kept for the packages it names: that of the treefile which this one builds on. */
  readonly hold: Lock | null;
}

/**
 * Asks Debian's archive which packages, in which versions, make up what the treefile wants: the essential ones, those
 * it names and all that they depend on. The archive's signatures and their dates are checked by apt.
 * Errors: PACKAGES_UNRESOLVED (with apt's words), COMMAND_FAILED (the mirror cannot be reached or trusted), INTERRUPTED.
 */
export async function resolveLock(treefile: PackageRequest, options: ResolveOptions): Promise<Lock> {
  options.progress.step("resolving packages");
  const apt = await aptEnvironment(treefile, options);
  await apt(["apt-get", "update", "--error-on=any"], "reading the Debian archive's lists");
  const resolved = new Date();
  const wanted = ["?and(?essential,?not(?exact-name(apt)))", ...wantedPackages(treefile)];
  const uris = await apt(
    ["apt-get", "install", "--print-uris", "--quiet=2", ...wanted],
    "choosing packages",
  ).catch((error: unknown) => {
    if (!hasCode(error, "COMMAND_FAILED")) throw error;
    throw new AtollError(
      "PACKAGES_UNRESOLVED",
      { file: treefile.path, cause: aptWords(String(error.parameters.output)) },
      error,
    );
  });
  const held = new Map(options.hold?.packages.map((locked) => [versionName(locked), locked]));
  const chosen = parsePrintUris(uris).map(versionName);
  const fresh = chosen.filter((name) => !held.has(name));
  const shown =
    fresh.length > 0 ? await apt(["apt-cache", "show", ...fresh], "reading the packages' records") : "";
  const packages = [
    ...chosen.flatMap((name) => held.get(name) ?? []),
    ...parseStanzas(shown).map(lockedPackage),
  ];
  return {
    format: 1,
    suite: treefile.suite,
    resolved: `${resolved.toISOString().slice(0, 19)}Z`,
    request: lockRequest(treefile),
    base: null,
    packages: packages.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    users: options.before?.users ?? [],
    groups: options.before?.groups ?? [],
  };
}

/** What apt says is wrong, without its warnings and marks. */
function aptWords(output: string): string {
  const lines = output.split(" | ").filter((line) => !line.startsWith("W: "));
  return lines.map((line) => line.replace(/^E: /, "")).join("; ");
}

/** A package as apt takes it on its command line: exactly this version. */
function versionName({ name, version, arch }: { name: string; version: string; arch: string }): string {
  return `${name}:${arch}=${version}`;
}

type Apt = (argv: [string, ...string[]], step: string) => Promise<string>;

/** apt with folders of its own: it knows nothing of this computer's packages, sources and settings. */
async function aptEnvironment(treefile: PackageRequest, options: ResolveOptions): Promise<Apt> {
  const { work, toolbox } = options;
  const folders = [
    "etc/apt.conf.d",
    "etc/preferences.d",
    "etc/sources.list.d",
    "state/lists/partial",
    "cache/archives/partial",
    "log",
  ];
  await Promise.all(folders.map((folder) => mkdir(join(work, folder), { recursive: true })));
  const [mirror = ""] = treefile.mirrors;
  const [security] = treefile.securityMirrors;
  const source = (base: string, suite: string) =>
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${base} ${suite} ${treefile.components.join(" ")}\n`;
  const local = join(work, "held");
  await rm(local, { recursive: true, force: true });
  if (options.hold) await makeDebRepository(local, options.hold, { ...options, mirrors: treefile });
  const sources = [
    ...(options.hold ? [`deb [trusted=yes] copy:${encodeURI(local)} ./\n`] : []),
    source(mirror, treefile.suite),
    source(mirror, `${treefile.suite}-updates`),
    ...(security ? [source(security, `${treefile.suite}-security`)] : []),
  ];
  // Above 1000, apt takes a version though it knows a newer one (apt_preferences(5)).
  const keep = options.hold ? ['Package: *\nPin: origin ""\nPin-Priority: 1001\n\n'] : [];
  const never = treefile.excludePackages.map(
    (name) => `Package: ${name}\nPin: release *\nPin-Priority: -1\n\n`,
  );
  const settings = {
    "Dir::Etc": join(work, "etc"),
    "Dir::State": join(work, "state"),
    "Dir::State::status": join(work, "status"),
    "Dir::Cache": join(work, "cache"),
    "Dir::Log": join(work, "log"),
    "APT::Install-Recommends": "false",
    "APT::Architecture": "amd64",
    "APT::Architectures": "amd64",
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
  };
  const config = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`);
  await Promise.all([
    writeFile(join(work, "etc/sources.list"), sources.join("")),
    writeFile(join(work, "etc/preferences"), [...never, ...keep].join("")),
    writeFile(join(work, "status"), ""),
    writeFile(join(work, "apt.conf"), config.join("")),
  ]);
  return async (argv, step) => {
    const env = { APT_CONFIG: join(work, "apt.conf") };
    const onLine = (line: string): void => {
      if (/^(Get|Hit):/.test(line)) options.progress.detail(line);
    };
    const result = await toolbox.run(argv, {
      step,
      env,
      onLine,
      ...(options.signal && { signal: options.signal }),
    });
    return result.stdout;
  };
}

/** Reads `apt-get --print-uris`: `'URI' name_version_arch.deb size hash`, with `%3a` for the colon of an epoch. */
export function parsePrintUris(text: string): { name: string; version: string; arch: string }[] {
  return text.split("\n").flatMap((line) => {
    const match = /^'[^']*' ([^_\s]+)_([^_\s]+)_([^_\s]+)\.deb \d+ /.exec(line);
    const [, name, version, arch] = match ?? [];
    if (name === undefined || version === undefined || arch === undefined) return [];
    return [{ name, version: decodeURIComponent(version), arch }];
  });
}

/** Splits deb822 text (Debian policy 5.1) into stanzas; a field keeps the lines that continue it. */
export function parseStanzas(text: string): Map<string, string>[] {
  return text
    .split(/\n{2,}/)
    .map((block) => {
      const fields = new Map<string, string>();
      for (const field of block.split(/\n(?![ \t])/)) {
        const colon = field.indexOf(":");
        if (colon > 0) fields.set(field.slice(0, colon), field.slice(colon + 1).trim());
      }
      return fields;
    })
    .filter((fields) => fields.size > 0);
}

function lockedPackage(stanza: ReadonlyMap<string, string>): LockedPackage {
  const field = (name: string): string => {
    const value = stanza.get(name);
    if (value === undefined) {
      throw new AtollError("INTERNAL", {
        cause: `apt shows no ${name} for ${stanza.get("Package") ?? "a package"}`,
      });
    }
    return value;
  };
  const [, source = field("Package"), sourceVersion = field("Version")] =
    /^(\S+)(?: \((\S+)\))?$/.exec(stanza.get("Source") ?? field("Package")) ?? [];
  const path = field("Filename");
  return {
    name: field("Package"),
    version: field("Version"),
    arch: field("Architecture"),
    source,
    sourceVersion,
    // The security archive keeps its pool under updates/; nothing else in the records tells the two apart.
    archive: path.startsWith("pool/updates/") ? "security" : "main",
    path,
    size: Number(field("Size")),
    sha256: field("SHA256"),
  };
}
