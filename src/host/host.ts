/** One machine seen from itself: what it is, what it can be asked to do. The room's door. */
import { AtollError, asAtollError, hasCode } from "../errors.ts";
import { diffPackages } from "../packages.ts";
import { clearInterruption, restoreIntent, welcomeBoot } from "./aftermath.ts";
import { unlessAborted } from "./clock.ts";
import { readCommit } from "./commit.ts";
import { checkHealth, refreshBaseline } from "./health.ts";
import { entry } from "./history.ts";
import { observeTrial, settleTrial } from "./judge.ts";
import type {
  BadTree,
  DeploymentName,
  HealthReport,
  HistoryEntry,
  HostRequests,
  HostStatus,
  HostVerb,
  Operation,
  Signature,
  TreeDiff,
  Verdict,
} from "./model.ts";
import { findDeployment } from "./names.ts";
import type { Operations, Work } from "./operations.ts";
import type { Ports } from "./ports.ts";
import { nextDeployment, statusOf } from "./status.ts";
import { readAncestry, readSysroot, repositoryOf, type Sysroot } from "./sysroot.ts";
import { describeTrial } from "./trial.ts";
import { lookForUpdate } from "./update.ts";
import { verbs } from "./verbs.ts";

export interface Host {
  readonly operations: Operations;
  status(signal: AbortSignal): Promise<HostStatus>;
  history(limit: number): Promise<{ entries: HistoryEntry[]; bad: readonly BadTree[] }>;
  /** The judge's report on this boot; with `fresh`, of checks made now, after it, which judge nothing. */
  health(
    fresh: boolean,
    signal: AbortSignal,
  ): Promise<{ report: HealthReport | null; verdict: Verdict | null }>;
  /**
   * With `to` null against what is to come: what boots next or, where that runs already, the update that is known.
   * Errors: DEPLOYMENT_UNKNOWN, DEPLOYMENT_AMBIGUOUS, UPDATE_UNKNOWN, COMMIT_UNREADABLE.
   */
  diff(from: DeploymentName, to: DeploymentName | null): Promise<TreeDiff>;
  /** Starts a verb, which goes on by itself. Errors: BUSY, ON_TRIAL. */
  begin<Verb extends HostVerb>(verb: Verb, request: HostRequests[Verb]): Promise<Operation>;
  /** Judges this boot, ends its trial, and puts right what an interruption left. Ends when that is done. */
  settle(signal: AbortSignal): Promise<void>;
  /** Looks for an update now and then, until `signal` fires; never when the owner says so. */
  watchForUpdates(signal: AbortSignal): Promise<void>;
  /** Keeps what a waiting change will be compared with up to date, until `signal` fires. */
  watchBaseline(signal: AbortSignal): Promise<void>;
}

/** What only this daemon's memory holds. */
interface Now {
  updateProblem: HostStatus["updateProblem"];
  recovering: boolean;
  /** False: operations wait. */
  triedToSettle: boolean;
}

export function openHost(ports: Ports, operations: Operations): Host {
  const signatures = new Map<string, Signature>();
  const now: Now = { updateProblem: null, recovering: true, triedToSettle: false };
  const settled = Promise.withResolvers<void>();
  const tried = (): void => {
    now.triedToSettle = true;
    settled.resolve();
  };
  const look = async (signal: AbortSignal): Promise<void> => {
    try {
      await lookForUpdate(ports, signal);
      now.updateProblem = null;
    } catch (thrown) {
      const { code, message } = asAtollError(thrown);
      now.updateProblem = { code, message, at: ports.clock.now().toISOString() };
      ports.log.warning(`looking for an update: ${message}`);
    }
  };
  let checking: Promise<HealthReport> | null = null;
  // One at a time, after the judge's own: all who ask share it, and the owner's scripts never run beside themselves.
  const freshChecks = (): Promise<HealthReport> => {
    checking ??= settled.promise
      .then(() => checkHealth(ports, new AbortController().signal))
      .finally(() => {
        checking = null;
      });
    return checking;
  };
  return {
    operations,
    status: (signal) => statusOf(ports, signatures, now, signal),
    async history(limit) {
      const [entries, bad] = await Promise.all([ports.store.history.read(limit), ports.store.bad.read()]);
      return { entries, bad: bad ?? [] };
    },
    async health(fresh, signal) {
      const judgement = await ports.store.judgement.read();
      const report = fresh
        ? await unlessAborted(freshChecks(), signal, stoppedWaiting)
        : (judgement?.report ?? null);
      return { report, verdict: judgement?.verdict ?? null };
    },
    diff: (from, to) => diffTrees(ports, from, to),
    begin: (verb, request) =>
      begin({ ports, operations, signatures, now, settled: settled.promise }, verb, request),
    async settle(signal) {
      await settle(ports, tried, signal);
      now.recovering = false;
    },
    async watchForUpdates(signal) {
      const { check } = ports.config.update;
      // Not at once: a machine that has just started has better to do; and not all machines at the same minute.
      for (let wait = firstLook(); check !== null; wait = check * (0.9 + Math.random() * 0.2)) {
        await ports.clock.sleep(wait, signal);
        if (operations.running() === null) await look(signal);
      }
    },
    async watchBaseline(signal) {
      for (;;) {
        await ports.clock.sleep(baselineAgain, signal);
        if (operations.running() !== null) continue;
        await refreshBaseline(ports, signal).catch((error: unknown) => {
          if (signal.aborted) throw error;
          ports.log.warning(`noting how the machine is now: ${asAtollError(error).message}`);
        });
      }
    },
  };
}

/** Milliseconds that a baseline may be old when a staged change boots. */
const baselineAgain = 600_000;

/** Milliseconds until what could not be settled is tried again, doubled each time up to the longest. */
const settleAgain = 10_000;
const settleAgainLongest = 600_000;

/** Calls `first` when it was tried once: what cannot be settled must not keep its owner from mending it. */
async function settle(ports: Ports, first: () => void, signal: AbortSignal): Promise<void> {
  // Once, and before any operation may mark itself.
  const interrupted = await ports.store.marker.read().catch(() => null);
  for (let wait = settleAgain; ; wait = Math.min(wait * 2, settleAgainLongest)) {
    try {
      await welcomeBoot(ports, signal);
      if (!(await settleTrial(ports, signal))) return;
      // In this order: what was staged and lost is held by nothing that keeps it from being deleted.
      await restoreIntent(ports, signal);
      await clearInterruption(ports, interrupted, signal);
      return;
    } catch (thrown) {
      if (signal.aborted || hasCode(thrown, "HOST_NOT_ATOLL")) throw thrown;
      const { code, message } = asAtollError(thrown);
      ports.log.error(`this boot could not be judged and settled, and will be again: ${code}: ${message}`);
      if (code === "INTERNAL" && thrown instanceof Error) ports.log.error(thrown.stack ?? "");
    } finally {
      first();
    }
    await ports.clock.sleep(wait, signal);
  }
}

/** Milliseconds before the first look for an update: one to three minutes. */
function firstLook(): number {
  return 60_000 + Math.random() * 120_000;
}

/** Milliseconds between the outcome and the reboot, for those who follow over a network that goes down with it. */
const lastWords = 500;

interface BeginParts {
  readonly ports: Ports;
  readonly operations: Operations;
  readonly signatures: Map<string, Signature>;
  readonly now: Now;
  /** Resolves when this boot is judged and what came of it is written down, or that failed once. */
  readonly settled: Promise<void>;
}

async function begin<Verb extends HostVerb>(
  { ports, operations, signatures, now, settled }: BeginParts,
  verb: Verb,
  request: HostRequests[Verb],
): Promise<Operation> {
  const { state, attempt } = describeTrial(await observeTrial(ports));
  if (state === "on-trial" || state === "judged-unwell") {
    throw new AtollError("ON_TRIAL", { attempt: attempt ?? "1" });
  }
  const work: Work = async (progress, signal, mark) => {
    if (!now.triedToSettle) progress.step("waiting until this boot is judged");
    await unlessAborted(settled, signal, stoppedWaiting);
    await mark();
    try {
      const outcome = await verbs[verb](ports, request, progress, signal);
      const stays = outcome.reboot === "not-needed";
      // What is done is told, also to who asked meanwhile to stop.
      const told = new AbortController().signal;
      const deployment = stays ? null : await nextDeployment(ports, signatures, told);
      if (outcome.reboot === "started") progress.step("rebooting");
      return { ...outcome, deployment };
    } catch (error) {
      // A disk so full that nothing can be written down must not hide what is wrong.
      await recordRefusal(ports, verb, error).catch((failure: unknown) =>
        ports.log.error(
          `${verb} was refused, which cannot be written down: ${asAtollError(failure).message}`,
        ),
      );
      throw error;
    }
  };
  return operations.start(verb, work, async ({ reboot }) => {
    if (reboot !== "started") return;
    const { signal } = new AbortController();
    await ports.clock.sleep(lastWords, signal);
    await ports.systemd.reboot(signal);
  });
}

/** Who stopped waiting for the verdict. */
function stoppedWaiting(): AtollError {
  return new AtollError("INTERRUPTED", { step: "waiting until this boot is judged" });
}

/** Refusals that tell of somebody's mistake, or malice, are worth keeping. */
async function recordRefusal(ports: Ports, verb: HostVerb, thrown: unknown): Promise<void> {
  const worthy = hasCode(
    thrown,
    "COMMIT_UNSIGNED",
    "COMMIT_KEY_UNKNOWN",
    "COMMIT_KEY_REVOKED",
    "COMMIT_KEY_EXPIRED",
    "COMMIT_SIGNATURE_BAD",
    "TREE_TAMPERED",
    "DOWNGRADE",
    "REMEMBERED_BAD",
    "KARGS_REMEMBERED_BAD",
    "NO_SPACE",
  );
  if (!worthy) return;
  const reasons = [thrown.message];
  await ports.store.history.add(
    entry(ports.clock, "refused", `${verb} refused: ${thrown.message}`, { reasons }),
  );
}

async function diffTrees(
  ports: Ports,
  from: DeploymentName,
  wanted: DeploymentName | null,
): Promise<TreeDiff> {
  const sysroot = await readSysroot(ports.paths.sysroot);
  const to = wanted ?? (sysroot.deployments[0]?.booted ? "update" : "0");
  const a = await commitNamed(ports, sysroot, from);
  if (!a) throw new AtollError("DEPLOYMENT_UNKNOWN", { name: from, where: "this host" });
  const b = await commitNamed(ports, sysroot, to);
  if (!b) throw new AtollError("DEPLOYMENT_UNKNOWN", { name: to, where: "this host" });
  const packages = a.packages && b.packages ? diffPackages(a.packages, b.packages) : null;
  const tree = ({ checksum, version, timestamp }: typeof a): TreeDiff["from"] => ({
    checksum,
    version,
    timestamp,
  });
  return { from: tree(a), to: tree(b), packages };
}

/** A deployment, the update that is known, or a tree in the history of either, as far as it was fetched. */
async function commitNamed(
  ports: Ports,
  { deployments }: Sysroot,
  name: DeploymentName,
): ReturnType<typeof readCommit> {
  const repo = repositoryOf(ports.paths.sysroot);
  const update = await ports.store.update.read();
  if (name === "update") {
    if (update === null) throw new AtollError("UPDATE_UNKNOWN");
    return readCommit(repo, update.checksum);
  }
  const deployment = findDeployment(deployments, name);
  if (deployment) return readCommit(repo, deployment.checksum);
  const heads = [...(update ? [update.checksum] : []), ...deployments.map((one) => one.checksum)];
  for (const head of heads) {
    const line = await readAncestry(ports.paths.sysroot, head);
    const found = line.find((commit) => commit.version === name || commit.checksum.startsWith(name));
    if (found && (found.version === name || name.length >= 8)) return found;
  }
  return null;
}
