/** The judge: carries out what trial.ts says is next, until there is nothing next. */
import { writeFile } from "node:fs/promises";
import { isSystemError } from "../errors.ts";
import { acquitted, blameFor } from "./bad-trees.ts";
import { parseBootRecord } from "./boot-id.ts";
import { inTime } from "./clock.ts";
import { bootStateOf, withGood, withTrial } from "./grubenv.ts";
import { checkHealth, longestJudging, observeBaseline, reach, runHooks, sumUp } from "./health.ts";
import { entry } from "./history.ts";
import { boots } from "./journal.ts";
import type { BadTree, FailedBoot, HealthReport, Verdict } from "./model.ts";
import { shownName } from "./names.ts";
import type { Ports } from "./ports.ts";
import { replaceFile } from "./store.ts";
import { type InstalledDeployment, readSysroot } from "./sysroot.ts";
import { type TrialAction, type TrialObservation, trialStep, tries } from "./trial.ts";

/** What trial.ts decides from. */
export async function observeTrial(ports: Ports): Promise<TrialObservation> {
  const boot = parseBootRecord(ports.commandLine);
  const { deployments } = await readSysroot(ports.paths.sysroot);
  const failed = failedDeployment(boot, deployments);
  return {
    boot,
    verdict: (await ports.store.judgement.read())?.verdict ?? null,
    environment: bootStateOf(await ports.bootLoader.read()),
    failed: failed
      ? await isRemembered(ports, failed).then((known) => (known ? "remembered" : "unremembered"))
      : "gone",
    alternative: deployments.some((deployment) => !deployment.booted && !deployment.staged),
  };
}

/** The deployment that GRUB gave up; null when it is no longer installed. */
function failedDeployment(
  boot: TrialObservation["boot"],
  deployments: readonly InstalledDeployment[],
): InstalledDeployment | null {
  if (boot.kind !== "fallback") return null;
  const others = deployments.filter((deployment) => !deployment.booted && !deployment.staged);
  const named = others.find(
    (deployment) => deployment.bootId !== null && deployment.bootId === boot.failedBootId,
  );
  // A tree without a boot id has no name; GRUB tries the first entry only, so that is the one that failed.
  return named ?? others.find((deployment) => deployment.index === 0 && deployment.bootId === null) ?? null;
}

/** On the list, and not asked for again since. */
async function isRemembered(ports: Ports, failed: InstalledDeployment): Promise<boolean> {
  const bad = await ports.store.bad.read();
  return bad?.some((tree) => tree.bootId === nameOf(failed) && !tree.askedAgain) ?? false;
}

function nameOf(deployment: InstalledDeployment): string {
  return deployment.bootId ?? deployment.id;
}

/**
 * Judges this boot and brings its trial to an end: level-triggered, so it may be called at any time, also after a
 * restart in the middle. True when there is nothing more to do, false when the machine is on its way down.
 */
export async function settleTrial(ports: Ports, signal: AbortSignal): Promise<boolean> {
  await tellDeadline(ports);
  for (;;) {
    const seen = await observeTrial(ports);
    const { action } = trialStep(seen);
    if (action === null) return true;
    await actions[action](ports, seen, signal);
    if (action === "reboot") return false;
  }
}

type Action = (ports: Ports, seen: TrialObservation, signal: AbortSignal) => Promise<void>;

const actions: Readonly<Record<TrialAction, Action>> = {
  judge,
  "write-good": writeGood,
  count,
  remember,
  undeploy,
  async reboot({ log, systemd }, { boot }, signal) {
    log.error(`this boot (${boot.bootId}) is unwell: rebooting`);
    await systemd.reboot(signal);
  },
};

async function judge(ports: Ports, { boot }: TrialObservation, signal: AbortSignal): Promise<void> {
  await announce(ports);
  const report = await reportOn(ports, signal);
  const at = ports.clock.now().toISOString();
  const { outcome, reasons } = report;
  const verdict: Verdict = {
    outcome,
    at,
    boot: boot.kind,
    bootId: boot.bootId,
    attempt: boot.attempt,
    reasons,
  };
  if (outcome === "unwell" && boot.kind === "trial" && boot.bootId !== null) {
    await addAttempt(ports, boot.bootId, {
      attempt: boot.attempt,
      startedAt: ports.bootedAt,
      reasons,
      log: detail(report),
    });
  }
  await recordVerdict(ports, verdict);
  await ports.store.judgement.write({ verdict, report });
  await tellDeadline(ports);
  await writeMotd(ports, verdict);
  await runHooks(ports, report, signal);
}

/**
 * Tells the boot deadline by which uptime there will be a verdict, so that it does not cut short what the owner's own
 * limits allow. Once in a boot: a daemon that ends and starts in the middle has no more time for that.
 */
async function announce(ports: Ports): Promise<void> {
  const seconds = Math.ceil((ports.clock.uptime() + (await longestJudging(ports))) / 1000);
  await writeFile(ports.paths.judging, `${seconds}\n`, { flag: "wx" }).catch((error: unknown) => {
    if (!isSystemError(error, "EEXIST")) throw error;
  });
}

/** Writes this boot's verdict, if there is one, where the boot deadline looks: a daemon may end just before it did. */
async function tellDeadline({ store, paths }: Ports): Promise<void> {
  const judgement = await store.judgement.read();
  if (judgement) await replaceFile(paths.verdict, `${JSON.stringify(judgement.verdict)}\n`, 0o644);
}

/** Waits until the system is up, then runs the checks; a system that does not come up is unwell without them. */
async function reportOn(ports: Ports, signal: AbortSignal): Promise<HealthReport> {
  const startedAt = ports.clock.now().toISOString();
  const up = await reach(ports, "multi-user.target", signal);
  if (up.outcome === "failed") {
    const check = { name: "multi-user", required: true, ...up, durationMs: 0 };
    return sumUp([check], startedAt, ports.clock.now().toISOString());
  }
  return checkHealth(ports, signal);
}

function detail(report: HealthReport): string[] {
  return report.checks
    .filter((check) => check.required && check.outcome === "failed")
    .flatMap((check) => [check.summary, ...check.detail]);
}

async function addAttempt({ store }: Ports, bootId: string, boot: FailedBoot): Promise<void> {
  const before = await store.attempts.read();
  const others =
    before?.bootId === bootId ? before.boots.filter(({ attempt }) => attempt !== boot.attempt) : [];
  await store.attempts.write({ bootId, boots: [...others, boot] });
}

async function recordVerdict({ clock, paths, store }: Ports, verdict: Verdict): Promise<void> {
  const { deployments } = await readSysroot(paths.sysroot);
  const { checksum = null, version = null } = deployments.find((one) => one.booted) ?? {};
  const on = verdict.attempt === null ? "" : ` (try ${verdict.attempt} of 3)`;
  const reasons = verdict.reasons.length === 0 ? "" : `: ${verdict.reasons.join("; ")}`;
  const what = version === null ? "" : `${version} `;
  const summary = `judged ${what}${verdict.outcome}${on}${reasons}`;
  const about = { checksum, version, bootId: verdict.bootId, reasons: verdict.reasons };
  await store.history.add(entry(clock, "verdict", summary, about));
}

async function writeMotd({ paths, log }: Ports, verdict: Verdict): Promise<void> {
  const text =
    verdict.outcome === "well"
      ? "Boot Status is GREEN - Health Check SUCCESS"
      : `Boot Status is RED - Health Check FAILURE!\n${verdict.reasons.map((reason) => `  ${reason}`).join("\n")}`;
  await replaceFile(paths.motd, `${text}\n`, 0o644).catch((error: unknown) => {
    log.warning(`${paths.motd} cannot be written: ${error instanceof Error ? error.message : String(error)}`);
  });
}

async function writeGood(ports: Ports, { boot }: TrialObservation, signal: AbortSignal): Promise<void> {
  if (boot.bootId === null) return;
  await ports.bootLoader.write(withGood(await ports.bootLoader.read(), boot.bootId));
  ports.log.info(`good: ${boot.bootId}`);
  await tidy(ports, boot, signal);
}

async function count({ bootLoader }: Ports, { boot }: TrialObservation): Promise<void> {
  if (boot.bootId === null) return;
  await bootLoader.write(withTrial(await bootLoader.read(), boot.bootId, tries - 1));
}

/** What a trial that is over leaves behind. Each is found and cleared another time if a power cut comes first. */
async function tidy(ports: Ports, boot: TrialObservation["boot"], signal: AbortSignal): Promise<void> {
  await ports.store.attempts.clear();
  if (boot.kind !== "trial") return;
  const bad = (await ports.store.bad.read()) ?? [];
  if (bad.length > 0) {
    const { deployments } = await readSysroot(ports.paths.sysroot);
    const running = deployments.find((deployment) => deployment.booted);
    await ports.store.bad.write(acquitted(bad, boot.bootId, running?.checksum ?? null));
  }
  await ports.store.baseline.write(await observeBaseline(ports, boot.bootId, signal));
}

async function remember(ports: Ports, { boot }: TrialObservation, signal: AbortSignal): Promise<void> {
  const { deployments } = await readSysroot(ports.paths.sysroot);
  const failed = failedDeployment(boot, deployments);
  if (failed === null) return;
  const running = deployments.find((deployment) => deployment.booted) ?? null;
  const failedBoots = await collectBoots(ports, boot.failedBootId ?? nameOf(failed), signal);
  const reasons = reasonsOf(failedBoots);
  const at = ports.clock.now().toISOString();
  const { checksum, version } = failed;
  const tree: BadTree = {
    checksum,
    version,
    kernelArguments: failed.kernelArguments ?? [],
    bootId: nameOf(failed),
    blame: blameFor(failed, running),
    at,
    reasons,
    boots: failedBoots,
    askedAgain: false,
  };
  const others = ((await ports.store.bad.read()) ?? []).filter(({ bootId }) => bootId !== tree.bootId);
  await ports.store.bad.write([...others, tree]);
  const summary = `went back to ${running?.version ?? "the last good deployment"}: ${shownName(tree)} did not become well in ${tries} tries`;
  await ports.store.history.add(entry(ports.clock, "fallback", summary, { ...tree, kernelArguments: null }));
}

/** Milliseconds for a question to the journal, which may be long, or damaged: the way back does not hang on its answer. */
const journalLimit = 60_000;

/** The tries of the trial: what their judges wrote down, and what the journal has of those that had no judge. */
async function collectBoots(ports: Ports, bootId: string, signal: AbortSignal): Promise<FailedBoot[]> {
  const attempts = await ports.store.attempts.read();
  const judged = attempts?.bootId === bootId ? attempts.boots : [];
  const read = <T>(work: (limit: AbortSignal) => Promise<T[]>): Promise<T[]> =>
    inTime(ports.clock, journalLimit, work, signal).catch((error: unknown) =>
      unreadable(ports, error, signal),
    );
  const journaled = await read((limit) => boots(ports.journal, bootId, limit));
  return Promise.all(
    [1, 2, 3].map(async (attempt): Promise<FailedBoot> => {
      const known = judged.find((boot) => boot.attempt === attempt);
      const logged = journaled.find((boot) => boot.attempt === attempt)?.boot;
      const log = logged ? await read((limit) => ports.journal.summary(logged.id, limit)) : [];
      const startedAt = known?.startedAt ?? logged?.startedAt ?? null;
      return {
        attempt,
        startedAt,
        reasons: known?.reasons ?? [guessReason(log)],
        log: [...(known?.log ?? []), ...log],
      };
    }),
  );
}

function unreadable({ log }: Ports, error: unknown, signal: AbortSignal): [] {
  if (signal.aborted) throw error;
  log.warning(
    `the journal of the failed boots cannot be read: ${error instanceof Error ? error.message : String(error)}`,
  );
  return [];
}

/** What tells why a boot without a verdict ended, the surest first. */
const causes: readonly RegExp[] = [
  /Kernel panic.*/,
  /no verdict on this boot.*/,
  /watchdog: .*lockup.*/,
  /(BUG:|Oops:).*/,
];

/** Why a boot without a verdict ended, as far as its log tells. */
export function guessReason(log: readonly string[]): string {
  for (const cause of causes) {
    const found = log.map((line) => cause.exec(line)?.[0]).find((text) => text !== undefined);
    if (found !== undefined) return found;
  }
  if (log.length === 0)
    return "ended before its log reached the disk: in the kernel, in the initramfs, or by a reset";
  return "ended without a verdict: by a reset or a watchdog";
}

/** Every reason once, in the order of the tries. */
function reasonsOf(failedBoots: readonly FailedBoot[]): string[] {
  return [...new Set(failedBoots.flatMap((boot) => boot.reasons))];
}

async function undeploy(ports: Ports, { boot }: TrialObservation, signal: AbortSignal): Promise<void> {
  const { deployments } = await readSysroot(ports.paths.sysroot);
  const failed = failedDeployment(boot, deployments);
  if (failed === null) return;
  await ports.ostree.undeploy(failed.index, signal);
  const intent = await ports.store.intent.read();
  if (intent?.checksum === failed.checksum) await ports.store.intent.clear();
}
