/** The verbs: each looks at what there is, plans, and has the plan carried out. */

import { asAtollError, hasCode } from "../errors.ts";
import { diffPackages } from "../packages.ts";
import type { Progress } from "../progress.ts";
import { readCommitIfWhole } from "./commit.ts";
import { execute, stagedConflicts } from "./execute.ts";
import type { HostRequests, HostVerb, OperationResult, PackageDiff, UpdateAvailable } from "./model.ts";
import { branchOf, rebasedOrigin, shownName } from "./names.ts";
import {
  bootedOf,
  type Candidate,
  type Observed,
  type Plan,
  planCleanup,
  planDeploy,
  planKernelArguments,
  planPin,
  planRollback,
  planUnlock,
} from "./plan.ts";
import type { Ports } from "./ports.ts";
import { requireValid } from "./signature.ts";
import { signatureOf } from "./status.ts";
import { shownBytes } from "./storage.ts";
import { readSysroot, repositoryOf, type Sysroot } from "./sysroot.ts";
import { lookForUpdate, namedTree, newestOf, proveFit, proveLayout, rememberUpdate } from "./update.ts";

export type Outcome = Omit<OperationResult, "deployment">;

type Verb<Name extends HostVerb> = (
  ports: Ports,
  request: HostRequests[Name],
  progress: Progress,
  signal: AbortSignal,
) => Promise<Outcome>;

export const verbs: { readonly [Name in HostVerb]: Verb<Name> } = {
  async upgrade(ports, request, progress, signal) {
    const { sysroot, observed } = await observe(ports);
    const branch = branchOf(bootedOf(sysroot.deployments).origin, sysroot, ports.config.update.url);
    progress.step(`looking for an update at ${branch.url}`);
    if (request.mode === "check") return check(ports, signal);
    const candidate = await newestOf(ports, sysroot, branch, signal);
    const options = {
      allowDowngrade: request.allowDowngrade ?? false,
      allowBad: false,
      reboot: request.mode === "reboot",
    };
    try {
      return await deploy(
        ports,
        sysroot,
        candidate,
        planDeploy(observed, candidate, options),
        progress,
        signal,
      );
    } catch (error) {
      if (hasCode(error, "DOWNGRADE", "REMEMBERED_BAD", "NO_SPACE")) {
        await rememberUpdate(ports, sysroot, candidate, signal).catch((failure: unknown) =>
          ports.log.error(`the update cannot be remembered: ${asAtollError(failure).message}`),
        );
      }
      throw error;
    }
  },
  async rebase(ports, request, progress, signal) {
    const { sysroot, observed } = await observe(ports);
    const branch = branchOf(
      rebasedOrigin(bootedOf(sysroot.deployments).origin, request.to),
      sysroot,
      ports.config.update.url,
    );
    progress.step(`looking for ${branch.ref} at ${branch.url}`);
    const candidate = await newestOf(ports, sysroot, branch, signal);
    const options = {
      allowDowngrade: request.allowDowngrade ?? false,
      allowBad: false,
      reboot: request.reboot ?? false,
    };
    return deploy(ports, sysroot, candidate, planDeploy(observed, candidate, options), progress, signal);
  },
  async deploy(ports, request, progress, signal) {
    const { sysroot, observed } = await observe(ports);
    const branch = branchOf(bootedOf(sysroot.deployments).origin, sysroot, ports.config.update.url);
    progress.step(`looking for ${request.target}`);
    const candidate = await namedTree(ports, sysroot, branch, request.target, signal);
    const options = { allowDowngrade: true, allowBad: true, reboot: request.reboot ?? false };
    return deploy(ports, sysroot, candidate, planDeploy(observed, candidate, options), progress, signal);
  },
  async rollback(ports, request, progress, signal) {
    const { observed } = await observe(ports);
    await warnOfRollback(ports, observed, progress, signal);
    return carryOut(ports, planRollback(observed, request.reboot ?? false), progress, signal);
  },
  async kargs(ports, request, progress, signal) {
    const { observed } = await observe(ports);
    const plan = planKernelArguments(observed, request);
    for (const step of plan.steps) if (step.do === "stage") await proveLayout(ports, step.change.checksum);
    return carryOut(ports, plan, progress, signal);
  },
  async pin(ports, request, progress, signal) {
    const { observed } = await observe(ports);
    return carryOut(ports, planPin(observed, request.deployment, true), progress, signal);
  },
  async unpin(ports, request, progress, signal) {
    const { observed } = await observe(ports);
    return carryOut(ports, planPin(observed, request.deployment, false), progress, signal);
  },
  async cleanup(ports, request, progress, signal) {
    const { observed } = await observe(ports);
    return carryOut(ports, planCleanup(observed, request), progress, signal);
  },
  async usroverlay(ports, _request, progress, signal) {
    const { observed } = await observe(ports);
    return carryOut(ports, planUnlock(observed), progress, signal);
  },
};

async function observe(ports: Ports): Promise<{ sysroot: Sysroot; observed: Observed }> {
  const [sysroot, bad] = await Promise.all([readSysroot(ports.paths.sysroot), ports.store.bad.read()]);
  return { sysroot, observed: { deployments: sysroot.deployments, bad: bad ?? [] } };
}

async function check(ports: Ports, signal: AbortSignal): Promise<Outcome> {
  const update = await lookForUpdate(ports, signal);
  const summary = update ? `${shownName(update)} is there, ${shownNeed(update)}` : "nothing newer is there";
  const packages = update?.packages ?? null;
  return { changed: update !== null, summary, update, packages, conflicts: [], reboot: "not-needed" };
}

function shownNeed({ size }: UpdateAvailable): string {
  return size === null
    ? "and does not tell how much space it needs"
    : `and needs ${shownBytes(size)} on this disk`;
}

async function deploy(
  ports: Ports,
  sysroot: Sysroot,
  candidate: Candidate,
  plan: Plan,
  progress: Progress,
  signal: AbortSignal,
): Promise<Outcome> {
  if (plan.steps.some((step) => step.do === "stage")) {
    // What is fetched is verified by that; what is here may have been signed with a key that is no longer trusted.
    if (candidate.complete) await proveVouchedFor(ports, candidate, signal);
    progress.step("checking that it fits");
    await proveFit(ports, sysroot, candidate);
  }
  const outcome = await carryOut(ports, plan, progress, signal);
  return { ...outcome, packages: outcome.changed ? await packagesOf(ports, sysroot, candidate) : null };
}

/** Errors: those of signatures. */
async function proveVouchedFor(
  ports: Ports,
  { commit, branch }: Candidate,
  signal: AbortSignal,
): Promise<void> {
  const { checksum, version } = commit;
  const signature = await ports.ostree.verify(checksum, branch.remote, signal);
  const shown = checksum.slice(0, 12);
  requireValid(signature, { checksum: shown, version: version ?? shown, url: branch.url });
}

/** The way back stays open whoever signed what is there, but not in silence. */
async function warnOfRollback(
  ports: Ports,
  { deployments }: Observed,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const target = deployments.some((one) => one.staged) ? undefined : deployments.find((one) => one.rollback);
  const remote = target?.origin?.split(":")[0];
  if (!target || remote === undefined) return;
  const { valid, problem } = await signatureOf(ports, target.checksum, remote, signal);
  if (!valid) progress.step(`warning: the signature of ${shownName(target)} does not hold (${problem})`);
}

async function packagesOf(
  ports: Ports,
  { deployments }: Sysroot,
  { commit }: Candidate,
): Promise<PackageDiff | null> {
  const running = await readCommitIfWhole(repositoryOf(ports.paths.sysroot), bootedOf(deployments).checksum);
  return running?.packages && commit.packages ? diffPackages(running.packages, commit.packages) : null;
}

async function carryOut(ports: Ports, plan: Plan, progress: Progress, signal: AbortSignal): Promise<Outcome> {
  await execute(plan, ports, progress, signal);
  return {
    changed: plan.steps.length > 0,
    summary: plan.summary,
    update: null,
    packages: null,
    conflicts: plan.reboot === "not-needed" ? [] : await stagedConflicts(ports),
    // Who asked to stop when it was too late for that does not want to see the machine go down.
    reboot: plan.reboot === "started" && signal.aborted ? "needed" : plan.reboot,
  };
}
