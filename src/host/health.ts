/** The health checks: what makes a host well, one probe for each. */
import { access } from "node:fs/promises";
import { parseBootRecord } from "./boot-id.ts";
import { inTime, NoAnswer } from "./clock.ts";
import type { HostConfig } from "./config.ts";
import type { Containers } from "./containers.ts";
import { countScripts, type GreenbootOptions, runScripts } from "./greenboot.ts";
import type { HealthCheck, HealthReport } from "./model.ts";
import { isOnline } from "./network.ts";
import type { Ports } from "./ports.ts";
import { type Lack, lacks } from "./storage.ts";
import type { Baseline } from "./store.ts";
import { readSysroot } from "./sysroot.ts";

/** What a probe found. */
type Finding = Pick<HealthCheck, "outcome" | "summary" | "detail">;

/** What a probe found that may turn out worse: looked at again until the grace is over. */
interface Unsettled {
  readonly soFar: Finding;
}

interface Probe {
  readonly name: string;
  /** Whether time may mend it: tried again until the grace is over. */
  readonly patient: boolean;
  /** Milliseconds for one try; one that takes longer has failed. */
  readonly limit: number;
  readonly find: (signal: AbortSignal) => Promise<Finding | Unsettled>;
}

/** Milliseconds between the tries of a patient probe. */
const retryAfter = 3000;

/** Milliseconds for whatever is asked: a program that hangs must not keep the verdict from being reached. */
const askLimit = 20_000;

/** Checks that are asked, and one more for all that comes between. */
const tried = 6;

/** Milliseconds for the last lines of a unit, which only explain what was found. */
const explainLimit = 5000;

/** Runs every check and sums them up. Changes nothing but what the owner's scripts change. */
export async function checkHealth(ports: Ports, signal: AbortSignal): Promise<HealthReport> {
  const startedAt = ports.clock.now().toISOString();
  const baseline = await ports.store.baseline.read();
  const checks = [await runProbe(ports, gate(ports), 0, signal)];
  // The grace is for what follows: a system that took its time to come up has not used it up.
  const graceEnds = ports.clock.uptime() + ports.config.health.grace;
  for (const probe of probes(ports, baseline)) {
    const skip = ports.config.health.skip.includes(probe.name);
    checks.push(skip ? skippedByOwner(probe.name) : await runProbe(ports, probe, graceEnds, signal));
  }
  const scripts = greenboot(ports);
  checks.push(...(await runScripts("check/required.d", scripts, signal)));
  checks.push(...(await runScripts("check/wanted.d", scripts, signal)));
  return sumUp(checks, startedAt, ports.clock.now().toISOString());
}

/**
 * Milliseconds that a judge may take, from its first look to its verdict, by its own limits: the system comes up, the
 * checks have their grace and one try each after it, then come the scripts.
 */
export async function longestJudging({ config, paths }: Ports): Promise<number> {
  const { startLimit, grace, scriptLimit } = config.health;
  const scripts = await countScripts(["check/required.d", "check/wanted.d"], paths.greenboot);
  return 2 * startLimit + grace + tried * askLimit + scripts * (scriptLimit + askLimit);
}

/** The owner's hooks after a verdict. */
export async function runHooks(ports: Ports, report: HealthReport, signal: AbortSignal): Promise<void> {
  const scripts = greenboot(ports);
  const results = await runScripts(report.outcome === "well" ? "green.d" : "red.d", scripts, signal);
  for (const { outcome, summary, detail } of results) {
    if (outcome === "failed") ports.log.warning([summary, ...detail].join(": "));
  }
}

function greenboot({ paths, config, systemd, clock }: Ports): GreenbootOptions {
  return {
    roots: paths.greenboot,
    configuration: `${paths.greenboot.at(-1) ?? ""}/greenboot.conf`,
    timeLimit: config.health.scriptLimit,
    run: systemd.runOutside,
    clock,
  };
}

/** The report that `checks` add up to. */
export function sumUp(checks: readonly HealthCheck[], startedAt: string, endedAt: string): HealthReport {
  const reasons = checks
    .filter((check) => check.required && check.outcome === "failed")
    .map((check) => check.summary);
  return { outcome: reasons.length === 0 ? "well" : "unwell", startedAt, endedAt, checks, reasons };
}

function skippedByOwner(name: string): HealthCheck {
  const summary = "switched off in atoll.yaml";
  return { name, required: true, outcome: "skipped", summary, detail: [], durationMs: 0 };
}

async function runProbe(
  ports: Ports,
  probe: Probe,
  graceEnds: number,
  signal: AbortSignal,
): Promise<HealthCheck> {
  const started = ports.clock.uptime();
  for (;;) {
    const found = await inTime(ports.clock, probe.limit, probe.find, signal).catch((error: unknown) =>
      broken(probe.name, error, signal),
    );
    const settled = "outcome" in found;
    const finding = settled ? found : found.soFar;
    const now = ports.clock.uptime();
    const final = settled && finding.outcome !== "failed";
    if (final || !probe.patient || now + retryAfter > graceEnds) {
      return { name: probe.name, required: true, ...finding, durationMs: Math.round(now - started) };
    }
    await ports.clock.sleep(retryAfter, signal);
  }
}

function broken(name: string, error: unknown, signal: AbortSignal): Finding {
  if (signal.aborted) throw error;
  return failed(
    `the check "${name}" could not be made: ${error instanceof Error ? error.message : String(error)}`,
  );
}

const passed = (summary: string): Finding => ({ outcome: "passed", summary, detail: [] });
const skipped = (summary: string): Finding => ({ outcome: "skipped", summary, detail: [] });
const failed = (summary: string, detail: readonly string[] = []): Finding => ({
  outcome: "failed",
  summary,
  detail,
});

/** systemd's own gate: units that are RequiredBy= it must start. */
function gate(ports: Ports): Probe {
  return {
    name: "boot-complete",
    patient: false,
    limit: ports.config.health.startLimit + askLimit,
    find: (signal) => reach(ports, "boot-complete.target", signal),
  };
}

function probes(ports: Ports, baseline: Baseline | null): readonly Probe[] {
  const ask = { patient: true, limit: askLimit };
  return [
    { name: "daemon", ...ask, find: (signal) => daemon(ports, signal) },
    { name: "storage", ...ask, patient: false, find: () => storage(ports, baseline) },
    { name: "network", ...ask, find: (signal) => network(ports, baseline, signal) },
    { name: "containers", ...ask, find: (signal) => containers(ports, baseline, signal) },
    { name: "units", ...ask, find: (signal) => units(ports, baseline, signal) },
  ];
}

/** Starts `target`, or waits for it, for as long as a system may take to come up. */
export async function reach(ports: Ports, target: string, signal: AbortSignal): Promise<Finding> {
  const { startLimit } = ports.config.health;
  try {
    await inTime(ports.clock, startLimit, (limit) => ports.systemd.start(target, limit), signal);
    return passed(`${target} is reached`);
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof NoAnswer)
      return failed(`${target} was not reached in ${Math.round(startLimit / 1000)} s`);
    return failed(`${target} could not be reached`, [error instanceof Error ? error.message : ""]);
  }
}

async function daemon({ selfCheck }: Ports, signal: AbortSignal): Promise<Finding> {
  await selfCheck(signal);
  return passed("atolld answers on its socket");
}

async function storage(ports: Ports, baseline: Baseline | null): Promise<Finding> {
  const now = await nearlyFull(ports);
  // What was full before is its owner's to mend, and no other tree mends it.
  const [first, ...more] = now.filter((lack) => !baseline?.lacks.includes(lack.of));
  if (first !== undefined)
    return failed(
      first.summary,
      more.map((lack) => lack.summary),
    );
  return passed(now.length === 0 ? "there is free space" : "as little is free as was before the change");
}

function nearlyFull({ disk, config }: Ports): Promise<Lack[]> {
  // The root file system of a deployment is read-only; what may fill up is where things are written.
  const systems = Promise.all(["/var", "/boot"].map((path) => disk.fileSystem(path)));
  return systems.then((all) => lacks(all, config.health.freePercent));
}

async function network({ network }: Ports, baseline: Baseline | null, signal: AbortSignal): Promise<Finding> {
  if (baseline === null) return skipped("nothing to compare with yet");
  if (!baseline.network) return skipped("there was no network before either");
  const state = await network.state(signal);
  if (isOnline(state)) return passed(`${state.addresses.join(", ")}; ${state.routes.join(", ")}`);
  const lack = state.addresses.length === 0 ? "there is no address" : "there is no default route";
  return failed(`the network worked before, and now ${lack}`);
}

async function containers(
  ports: Ports,
  baseline: Baseline | null,
  signal: AbortSignal,
): Promise<Finding | Unsettled> {
  if (baseline === null) return skipped("nothing to compare with yet");
  if (baseline.containers.length === 0) return skipped("no container unit ran before");
  const now = new Map((await ports.systemd.containerUnits(signal)).map((unit) => [unit.unit, unit]));
  const health = await ports.containers.health(signal);
  const kept = await existing(baseline.containers.map(({ source }) => source));
  const down = baseline.containers.flatMap(({ unit, source, healthy }) => {
    const state = now.get(unit);
    if (state === undefined)
      return kept.has(source) ? [`${unit} ran before, and there is no such unit any more`] : [];
    if (!state.active) return [`${unit} ran before, and is ${state.state}`];
    return healthy && health.get(unit) === "unhealthy" ? [`${unit} was healthy before, and is not`] : [];
  });
  const fine = `${baseline.containers.length} container units are as well as before`;
  const starting = baseline.containers
    .filter(({ unit, healthy }) => healthy && health.get(unit) === "starting")
    .map(({ unit }) => unit);
  if (down.length > 0 || starting.length === 0) return summary(ports, down, fine, signal);
  // Its first health check may be due long after the grace; until then nothing speaks against it.
  return { soFar: passed(`${fine}, as far as can be told: ${starting.join(", ")} did not say yet`) };
}

/**
 * Those of `files` that are there. A unit whose file is gone was taken away, by its owner or by the tree; one whose file
 * is there and that is not made from it any more (by a Quadlet that is broken, or understands it no longer) is lost.
 */
async function existing(files: readonly string[]): Promise<ReadonlySet<string>> {
  const found = await Promise.all(
    files.map((file) =>
      access(file).then(
        () => [file],
        () => [],
      ),
    ),
  );
  return new Set(found.flat());
}

async function units(ports: Ports, baseline: Baseline | null, signal: AbortSignal): Promise<Finding> {
  const now = await ports.systemd.failedUnits(signal);
  const fresh = newFailures(now, baseline?.failedUnits ?? [], ports.config);
  return summary(
    ports,
    fresh.map((unit) => `${unit} failed`),
    "no unit failed that did not fail before",
    signal,
  );
}

/** Units that failed, less those that failed before and those that the owner ignores. */
export function newFailures(now: readonly string[], before: readonly string[], config: HostConfig): string[] {
  const ignored = config.health.ignoreUnits.map(asPattern);
  return now.filter((unit) => !before.includes(unit) && !ignored.some((pattern) => pattern.test(unit)));
}

function asPattern(glob: string): RegExp {
  const parts = glob.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}

/** `problems`, each beginning with the name of its unit, with that unit's last lines. */
async function summary(
  { journal, clock }: Ports,
  problems: readonly string[],
  fine: string,
  signal: AbortSignal,
): Promise<Finding> {
  const [first, ...more] = problems;
  if (first === undefined) return passed(fine);
  const [unit = ""] = first.split(" ");
  const lines = await inTime(clock, explainLimit, (limit) => journal.unit(unit, limit), signal).catch(
    (error: unknown) => {
      if (signal.aborted) throw error;
      return [];
    },
  );
  return failed(more.length === 0 ? first : `${first}, and ${more.length} more`, [...more, ...lines]);
}

/** How the machine is now, to be compared with after a change. What gives no answer now is not asked of that either. */
export async function observeBaseline(
  ports: Ports,
  bootId: string | null,
  signal: AbortSignal,
): Promise<Baseline> {
  const ask = <T>(what: string, work: (limit: AbortSignal) => Promise<T>, otherwise: T): Promise<T> =>
    inTime(ports.clock, askLimit, work, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      ports.log.warning(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return otherwise;
    });
  const [failedUnits, state, running, full] = await Promise.all([
    ask("listing failed units", (limit) => ports.systemd.failedUnits(limit), []),
    ask("asking for addresses and routes", (limit) => ports.network.state(limit), {
      addresses: [],
      routes: [],
    }),
    ask("listing container units", (limit) => ports.systemd.containerUnits(limit), []),
    ask("asking for free space", () => nearlyFull(ports), []),
  ]);
  const active = running.filter((unit) => unit.active && unit.atBoot);
  const health =
    active.length === 0
      ? none
      : await ask("asking Podman for containers", (limit) => ports.containers.health(limit), none);
  return {
    at: ports.clock.now().toISOString(),
    bootId,
    failedUnits,
    lacks: full.map((lack) => lack.of),
    network: isOnline(state),
    containers: active.map(({ unit, source }) => ({ unit, source, healthy: health.get(unit) === "healthy" })),
  };
}

/**
 * Takes the baseline anew while a change waits for its boot: what its owner stops, or loses, meanwhile is no fault of the
 * change. Not in a shutdown, which stops everything.
 */
export async function refreshBaseline(ports: Ports, signal: AbortSignal): Promise<void> {
  const { deployments } = await readSysroot(ports.paths.sysroot);
  if (deployments[0]?.booted !== false) return;
  const { bootId } = parseBootRecord(ports.commandLine);
  const baseline = await observeBaseline(ports, bootId, signal);
  // Asked last: a shutdown that began in between has been seen.
  if (!(await ports.systemd.isStopping(signal))) await ports.store.baseline.write(baseline);
}

const none: Awaited<ReturnType<Containers["health"]>> = new Map();
