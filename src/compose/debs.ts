import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AtollError } from "../errors.ts";
import type { Progress } from "../progress.ts";
import { markUsed } from "./cache-use.ts";
import type { Lock, LockedPackage } from "./lock.ts";
import type { Treefile } from "./treefile.ts";

interface FetchOptions {
  readonly cache: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

const atOnce = 4;

/** Where the cache keeps a package's file: by what it holds, so that it is never out of date. */
export function debPath(cache: string, locked: LockedPackage): string {
  return join(cache, "debs", `${locked.sha256}.deb`);
}

/**
 * Brings every package of the lock into the cache, from the treefile's mirrors in turn and from snapshot.debian.org
 * last; each file is checked by its hash before it gets its name.
 * Errors: PACKAGES_GONE (no source has them any more, or none can be reached), INTERRUPTED.
 */
export async function fetchDebs(lock: Lock, treefile: Treefile, options: FetchOptions): Promise<void> {
  await mkdir(join(options.cache, "debs"), { recursive: true });
  const missing: LockedPackage[] = [];
  for (const locked of lock.packages) {
    const file = debPath(options.cache, locked);
    if (await isComplete(file, locked.size)) await markUsed(file);
    else missing.push(locked);
  }
  if (missing.length === 0) return;
  options.progress.step("fetching packages");
  const total = missing.length;
  const gone: string[] = [];
  let done = 0;
  const worker = async (): Promise<void> => {
    for (let locked = missing.shift(); locked; locked = missing.shift()) {
      const problem = await fetchDeb(locked, addresses(locked, lock, treefile), options);
      if (problem) gone.push(problem);
      done += 1;
      options.progress.detail(`${done} of ${total}: ${locked.name}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (gone.length > 0) throw new AtollError("PACKAGES_GONE", { packages: gone.toSorted().join("\n") });
}

/** Where a package's file may be, best first. */
export function addresses(locked: LockedPackage, lock: Lock, treefile: Treefile): string[] {
  const security = locked.archive === "security";
  const mirrors = security ? treefile.securityMirrors : treefile.mirrors;
  const archive = security ? "debian-security" : "debian";
  // snapshot.debian.org takes any time and gives the last snapshot before it.
  const time = lock.resolved.replaceAll(/[-:]/g, "");
  const bases = [...mirrors, `http://snapshot.debian.org/archive/${archive}/${time}`];
  return bases.map((base) => `${base.replace(/\/+$/, "")}/${locked.path}`);
}

/** Fetches one file; gives null, or why no address would do. */
async function fetchDeb(
  locked: LockedPackage,
  urls: readonly string[],
  options: FetchOptions,
): Promise<string | null> {
  const file = debPath(options.cache, locked);
  const problems: string[] = [];
  for (const url of urls) {
    // Two processes may fetch the same file: each writes its own, and the names meet only when both are whole.
    const partial = `${file}.${process.pid}.part`;
    try {
      await download(url, partial, locked, options.signal);
      await rename(partial, file);
      return null;
    } catch (error) {
      await rm(partial, { force: true });
      if (options.signal?.aborted) throw new AtollError("INTERRUPTED", { step: "fetching packages" }, error);
      problems.push(`${new URL(url).host}: ${reason(error)}`);
    }
  }
  return `${locked.name} ${locked.version} (${problems.join("; ")})`;
}

async function download(
  url: string,
  file: string,
  locked: LockedPackage,
  signal?: AbortSignal,
): Promise<void> {
  const stalled = AbortSignal.timeout(300_000);
  const response = await fetch(url, { signal: signal ? AbortSignal.any([signal, stalled]) : stalled });
  if (!response.ok || !response.body) throw new Error(`HTTP status ${response.status}`);
  const hash = createHash("sha256");
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  await pipeline(Readable.fromWeb(response.body), hashing, createWriteStream(file));
  const sha256 = hash.digest("hex");
  if (sha256 !== locked.sha256)
    throw new Error(`its SHA-256 is ${sha256.slice(0, 12)}…, locked is ${locked.sha256.slice(0, 12)}…`);
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message : null;
  return cause ?? error.message;
}

async function isComplete(file: string, size: number): Promise<boolean> {
  return stat(file).then(
    (found) => found.size === size,
    () => false,
  );
}
