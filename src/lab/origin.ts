import { spawn } from "node:child_process";
import { mkdir, open, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Toolbox } from "../compose/toolbox.ts";
import { AtollError, isSystemError } from "../errors.ts";
import { withExclusive } from "../exclusive.ts";
import { lastLines } from "../process.ts";
import type { LabContext, LabTools } from "./machine.ts";
import { freePort } from "./ports.ts";
import { identify, isRunning, type ProcessIdentity, signalProcess, waitForEnd } from "./running.ts";
import type { OriginRecord } from "./schemas.ts";

/**
 * What serves the lab's machines their trees and images: a process of its own, which goes on when the command that
 * started it has ended.
 */

/** This computer as QEMU's user network shows it to every machine. */
const thisComputer = "10.0.2.2";

export interface Origin {
  /** Of the OSTree repository, as machines see it. */
  readonly remoteUrl: string;
  /** `address:port` of the container registry, as machines see it. */
  readonly registry: string;
  /** The same, as this computer sees it. */
  readonly localRegistry: string;
  readonly running: boolean;
}

/** What the process is told, as a JSON file. */
export interface OriginConfig {
  readonly repository: string;
  readonly httpPort: number;
  /** The whole command of the registry; it ends with its parent. */
  readonly registryCommand: readonly string[];
}

function paths(lab: string) {
  const directory = join(lab, ".origin");
  return {
    directory,
    record: join(directory, "origin.json"),
    lock: join(lab, ".origin.lock"),
    config: join(directory, "config.json"),
    registryConfig: join(directory, "registry.yml"),
    registryStorage: join(directory, "registry"),
    log: join(directory, "origin.log"),
  };
}

/**
 * Where the origin is, or will be once it is started; chooses its ports at the first call.
 * Errors: LAB_RECORD_INVALID.
 */
export async function findOrigin(context: LabContext): Promise<Origin> {
  return locked(context, async () => describeOrigin(await readOrigin(context.lab)));
}

/**
 * Starts the origin unless it runs. Gives it back when it answers.
 * Errors: LAB_ORIGIN_FAILED (its port is taken, the registry does not start); INTERRUPTED; it does not run then.
 */
export async function startOrigin({ lab, toolbox, signal }: LabTools, repository: string): Promise<Origin> {
  return locked({ lab, ...(signal && { signal }) }, async () => {
    const record = await readOrigin(lab);
    if (record.process && (await isRunning(record.process))) return describeOrigin(record);
    const files = paths(lab);
    const config: OriginConfig = {
      repository,
      httpPort: record.httpPort,
      registryCommand: await registryCommand(lab, toolbox, record),
    };
    await writeFile(files.config, JSON.stringify(config, null, 2));
    await launch(lab, record, signal);
    return describeOrigin(await readOrigin(lab));
  });
}

/** Starts the origin again where the lab has had one; null where it has not. Errors: as `startOrigin`. */
export async function resumeOrigin(tools: LabTools): Promise<Origin | null> {
  try {
    const config: OriginConfig = JSON.parse(await readFile(paths(tools.lab).config, "utf8"));
    return await startOrigin(tools, config.repository);
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return null;
    throw error;
  }
}

/** Stops the origin; false when it did not run. */
export async function stopOrigin(context: LabContext): Promise<boolean> {
  return locked(context, async () => {
    const { process: identity } = await readOrigin(context.lab);
    return identity !== null && endProcess(identity);
  });
}

/** Ends the origin and the registry below it; false when it did not run. */
async function endProcess(identity: ProcessIdentity): Promise<boolean> {
  if (!(await signalProcess(identity, "SIGTERM"))) return false;
  // It leads a process group that holds the registry too.
  if (!(await waitForEnd(identity, 10_000))) process.kill(-identity.pid, "SIGKILL");
  return true;
}

async function describeOrigin(record: OriginRecord): Promise<Origin> {
  return {
    remoteUrl: `http://${thisComputer}:${record.httpPort}/repo`,
    registry: `${thisComputer}:${record.registryPort}`,
    localRegistry: `127.0.0.1:${record.registryPort}`,
    running: record.process !== null && (await isRunning(record.process)),
  };
}

async function readOrigin(lab: string): Promise<OriginRecord> {
  const { record: file, directory } = paths(lab);
  try {
    const text = await readFile(file, "utf8");
    const { originRecord, parseAs } = await import("./schemas.ts");
    return parseAs(originRecord, text, file);
  } catch (error) {
    if (!isSystemError(error, "ENOENT")) throw error;
  }
  const httpPort = await freePort(new Set());
  const registryPort = await freePort(new Set([httpPort]));
  await mkdir(directory, { recursive: true });
  return writeOrigin(lab, { httpPort, registryPort, process: null });
}

async function writeOrigin(lab: string, record: OriginRecord): Promise<OriginRecord> {
  const { record: file } = paths(lab);
  await writeFile(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`);
  await rename(`${file}.new`, file);
  return record;
}

async function registryCommand(lab: string, toolbox: Toolbox, record: OriginRecord): Promise<string[]> {
  const { registryConfig, registryStorage } = paths(lab);
  await mkdir(registryStorage, { recursive: true });
  const config = {
    version: "0.1",
    log: { level: "warn", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: registryStorage }, delete: { enabled: true } },
    // Only says that one registry is all there is.
    http: { addr: `127.0.0.1:${record.registryPort}`, secret: "one of one" },
  };
  // YAML is a superset of JSON.
  await writeFile(registryConfig, JSON.stringify(config, null, 2));
  return toolbox.argv(["docker-registry", "serve", registryConfig]);
}

/** How long the registry may take to answer on a busy computer. */
const startMs = 30_000;

async function launch(lab: string, record: OriginRecord, signal: AbortSignal | undefined): Promise<void> {
  const files = paths(lab);
  const log = await open(files.log, "w");
  const child = spawn(process.execPath, [programFile(), files.config], {
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
    cwd: "/",
  });
  child.on("error", () => {});
  child.unref();
  await log.close();
  const identity = child.pid === undefined ? null : await identify(child.pid);
  await writeOrigin(lab, { ...record, process: identity });
  const end = performance.now() + startMs;
  while (identity && (await isRunning(identity)) && performance.now() < end && !signal?.aborted) {
    if (await answers(record)) return;
    await sleep(50);
  }
  if (identity) await endProcess(identity);
  await writeOrigin(lab, { ...record, process: null });
  if (signal?.aborted) throw new AtollError("INTERRUPTED", { step: "starting the lab's origin" });
  const cause = lastLines(await readFile(files.log, "utf8"), 3) || "it does not answer";
  throw new AtollError("LAB_ORIGIN_FAILED", { cause, log: files.log });
}

/** The program of the process: beside this file in the sources, beside the bundle in dist/. */
function programFile(): string {
  const { dirname, filename } = import.meta;
  return join(dirname, filename.endsWith(".ts") ? "origin-main.ts" : "atoll-origin.mjs");
}

async function answers({ httpPort, registryPort }: OriginRecord): Promise<boolean> {
  try {
    const urls = [`http://127.0.0.1:${httpPort}/`, `http://127.0.0.1:${registryPort}/v2/`];
    const responses = await Promise.all(urls.map((url) => fetch(url, { signal: AbortSignal.timeout(2000) })));
    for (const response of responses) await response.body?.cancel();
    return responses.every(({ ok }) => ok);
  } catch {
    return false;
  }
}

/** Copies an OCI image layout into the registry as `name:latest`. Errors: COMMAND_FAILED, INTERRUPTED. */
export async function pushImage(
  { toolbox, signal }: LabTools,
  origin: Origin,
  layout: string,
  name: string,
): Promise<void> {
  await toolbox.run(
    [
      ...(["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"] as const),
      ...[`oci:${layout}:latest`, `docker://${origin.localRegistry}/${name}:latest`],
    ],
    { step: `putting ${name} into the lab's registry`, binds: [layout], ...(signal && { signal }) },
  );
}

function locked<T>({ lab, signal }: LabContext, work: () => Promise<T>): Promise<T> {
  const options = { step: "waiting for another command on the lab's origin", ...(signal && { signal }) };
  return withExclusive(paths(lab).lock, options, work);
}
