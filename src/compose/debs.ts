import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import * as http from "node:http";
import * as https from "node:https";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AtollError } from "../errors.ts";
import type { Progress } from "../progress.ts";
import { markUsed } from "./cache-use.ts";
import type { Lock, LockedPackage, Mirrors } from "./lock.ts";

interface FetchOptions {
  readonly cache: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  /** A source that sends nothing for so long is given up; a minute when absent. */
  readonly stallMs?: number;
}

const atOnce = 4;

/** Where the cache keeps a package's file: by what it holds, so that it is never out of date. */
export function debPath(cache: string, locked: LockedPackage): string {
  return join(cache, "debs", `${locked.sha256}.deb`);
}

/**
 * Brings every package of the lock into the cache, from the mirrors in turn and from snapshot.debian.org last, through
 * the proxy that the environment names, if any; each file is checked by its hash before it gets its name.
 * Errors: PACKAGES_GONE (every mirror says that it has some of them no more), PACKAGES_UNFETCHED (anything else in the
 * way, so that trying again may help), INTERRUPTED.
 */
export async function fetchDebs(lock: Lock, mirrors: Mirrors, options: FetchOptions): Promise<void> {
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
  const failures: Failure[] = [];
  let done = 0;
  const worker = async (): Promise<void> => {
    for (let locked = missing.shift(); locked; locked = missing.shift()) {
      const failure = await fetchDeb(locked, addresses(locked, lock, mirrors), options);
      if (failure) failures.push(failure);
      done += 1;
      options.progress.detail(`${done} of ${total}: ${locked.name}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const unfetched = failures.filter(({ gone }) => !gone);
  const told = (unfetched.length > 0 ? unfetched : failures).map(({ text }) => text).toSorted();
  if (unfetched.length > 0) throw new AtollError("PACKAGES_UNFETCHED", { packages: told.join("\n") });
  if (failures.length > 0) throw new AtollError("PACKAGES_GONE", { packages: told.join("\n") });
}

/**
 * Reads every cached file of the lock's packages and removes those whose content is not what the lock says (a computer
 * that lost its power, a bad disk); gives their names. `fetchDebs` then brings them anew.
 */
export async function dropDamagedDebs(lock: Lock, cache: string): Promise<string[]> {
  const damaged: string[] = [];
  for (const locked of lock.packages) {
    const file = debPath(cache, locked);
    const hash = createHash("sha256");
    await pipeline(createReadStream(file), hash);
    if (hash.digest("hex") === locked.sha256) continue;
    await rm(file);
    damaged.push(locked.name);
  }
  return damaged;
}

/** Where a package's file may be, best first. */
export function addresses(locked: LockedPackage, lock: Lock, mirrors: Mirrors): string[] {
  const security = locked.archive === "security";
  const archive = security ? "debian-security" : "debian";
  // snapshot.debian.org takes any time and gives the last snapshot before it.
  const time = lock.resolved.replaceAll(/[-:]/g, "");
  const bases = [
    ...(security ? mirrors.securityMirrors : mirrors.mirrors),
    `http://snapshot.debian.org/archive/${archive}/${time}`,
  ];
  return bases.map((base) => `${base.replace(/\/+$/, "")}/${locked.path}`);
}

interface Failure {
  readonly text: string;
  /** Every mirror said that it does not have it; snapshot.debian.org, out of reach or not, had no more to give. */
  readonly gone: boolean;
}

/** An answer other than 200. */
class StatusError extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`HTTP status ${status}`);
    this.status = status;
  }
}

/** Fetches one file; gives null, or why no address would do. */
async function fetchDeb(
  locked: LockedPackage,
  urls: readonly string[],
  options: FetchOptions,
): Promise<Failure | null> {
  const file = debPath(options.cache, locked);
  const problems: string[] = [];
  const refused: boolean[] = [];
  for (const url of urls) {
    // Two processes may fetch the same file: each writes its own, and the names meet only when both are whole.
    const partial = `${file}.${process.pid}.part`;
    try {
      await download(url, partial, locked, options);
      await rename(partial, file);
      return null;
    } catch (error) {
      await rm(partial, { force: true });
      if (options.signal?.aborted) throw new AtollError("INTERRUPTED", { step: "fetching packages" }, error);
      problems.push(`${new URL(url).host}: ${error instanceof Error ? error.message : String(error)}`);
      refused.push(error instanceof StatusError && (error.status === 404 || error.status === 410));
    }
  }
  const mirrors = refused.slice(0, -1);
  return {
    text: `${locked.name} ${locked.version} (${problems.join("; ")})`,
    gone: mirrors.length > 0 && mirrors.every((each) => each),
  };
}

async function download(
  url: string,
  file: string,
  locked: LockedPackage,
  { signal, stallMs = 60_000 }: FetchOptions,
): Promise<void> {
  const response = await request(url, stallMs, signal);
  const hash = createHash("sha256");
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  // Whole on the disk before it gets its name, also when the power fails in between.
  await pipeline(response, hashing, createWriteStream(file, { flush: true }), signal ? { signal } : {});
  const sha256 = hash.digest("hex");
  if (sha256 !== locked.sha256)
    throw new Error(`its SHA-256 is ${sha256.slice(0, 12)}…, locked is ${locked.sha256.slice(0, 12)}…`);
}

/** snapshot.debian.org leads on to the snapshot that serves. */
const mostRedirects = 5;

/**
 * Gives the answer to a GET, its body still to come. Not by `fetch`, which knows no proxy unless all of Node.js is told
 * of it, and what goes to this computer itself must not be.
 */
async function request(
  url: string,
  stallMs: number,
  signal: AbortSignal | undefined,
  redirects = 0,
): Promise<http.IncomingMessage> {
  const client = new URL(url).protocol === "https:" ? https : http;
  const agent = new client.Agent({ proxyEnv: process.env });
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    let answer: http.IncomingMessage | undefined;
    const sent = client.get(url, { agent, ...(signal && { signal }) }, (begun) => {
      answer = begun;
      resolve(begun);
    });
    sent.setTimeout(stallMs, () =>
      (answer ?? sent).destroy(new Error(`it sent nothing for ${stallMs / 1000} seconds`)),
    );
    sent.on("error", reject);
  });
  const { statusCode = 0, headers } = response;
  if (statusCode === 200) return response;
  response.destroy();
  if (statusCode >= 300 && statusCode < 400 && headers.location && redirects < mostRedirects)
    return request(new URL(headers.location, url).href, stallMs, signal, redirects + 1);
  throw new StatusError(statusCode);
}

async function isComplete(file: string, size: number): Promise<boolean> {
  return stat(file).then(
    (found) => found.size === size,
    () => false,
  );
}
