/**
 * What each verb would do, as data: from what is installed and what was asked to a list of steps, or a refusal.
 * Pure; execute.ts carries the steps out. Whatever is refused here is refused before anything has changed.
 */
import { compareDebianVersions } from "../debian-version.ts";
import { AtollError } from "../errors.ts";
import { findBad, findBadPair } from "./bad-trees.ts";
import type { Commit } from "./commit.ts";
import { editKernelArguments, kernelArgumentDiff } from "./kernel-arguments.ts";
import type { BadTree, CleanupRequest, HistoryKind, KargsRequest, OperationResult } from "./model.ts";
import { namedDeployment, shownName } from "./names.ts";
import type { Branch } from "./ostree.ts";
import type { InstalledDeployment } from "./sysroot.ts";

export type Step =
  | {
      readonly do: "fetch";
      readonly branch: Branch;
      readonly checksum: string;
      readonly version: string | null;
    }
  /** Notes how the machine is now, for the judge of the next boot. */
  | { readonly do: "save-baseline" }
  | { readonly do: "stage"; readonly change: Change }
  | { readonly do: "set-default"; readonly id: string }
  | { readonly do: "undeploy"; readonly id: string }
  | { readonly do: "pin"; readonly id: string; readonly pinned: boolean }
  | { readonly do: "forget-change" }
  | { readonly do: "clean-up" }
  | { readonly do: "unlock" }
  | { readonly do: "record"; readonly kind: HistoryKind; readonly summary: string; readonly about: About };

/** What is to boot next. */
export interface Change {
  readonly checksum: string;
  readonly version: string | null;
  /** `remote:ref` to follow from then on. */
  readonly origin: string;
  readonly kernelArguments: readonly string[];
}

/** What a history entry is about. */
export interface About {
  readonly checksum: string | null;
  readonly version: string | null;
  readonly kernelArguments: { readonly added: readonly string[]; readonly removed: readonly string[] } | null;
}

export interface Plan {
  /** Empty: there is nothing to do. */
  readonly steps: readonly Step[];
  readonly summary: string;
  /** Whether it takes a reboot, and whether that was asked for; it comes when the outcome has been told. */
  readonly reboot: OperationResult["reboot"];
}

/** What a plan is made from. */
export interface Observed {
  readonly deployments: readonly InstalledDeployment[];
  readonly bad: readonly BadTree[];
}

/** A tree that could be deployed. */
export interface Candidate {
  readonly commit: Commit;
  readonly branch: Branch;
  /** Whether all of it is known to be on this host. */
  readonly complete: boolean;
}

function nothing(summary: string): Plan {
  return { steps: [], summary, reboot: "not-needed" };
}

/** Errors: HOST_NOT_ATOLL. */
export function bootedOf(deployments: readonly InstalledDeployment[]): InstalledDeployment {
  const booted = deployments.find((one) => one.booted);
  if (!booted)
    throw new AtollError("HOST_NOT_ATOLL", { problem: "the running root is none of the deployments" });
  return booted;
}

/** The deployment that boots next. Errors: HOST_NOT_ATOLL. */
function nextOf(deployments: readonly InstalledDeployment[]): InstalledDeployment {
  return deployments[0] ?? bootedOf(deployments);
}

function argumentsOf(deployments: readonly InstalledDeployment[]): readonly string[] {
  return nextOf(deployments).kernelArguments ?? bootedOf(deployments).kernelArguments ?? [];
}

interface DeployOptions {
  /** Take an older tree. */
  readonly allowDowngrade: boolean;
  /** Take a tree that is remembered as bad. */
  readonly allowBad: boolean;
  readonly reboot: boolean;
}

/** For `upgrade`, `rebase` and `deploy`. Errors: REMEMBERED_BAD, DOWNGRADE. */
export function planDeploy(observed: Observed, candidate: Candidate, options: DeployOptions): Plan {
  const { deployments } = observed;
  const { commit, branch } = candidate;
  const origin = `${branch.remote}:${branch.ref}`;
  const next = nextOf(deployments);
  const reboot = options.reboot ? "started" : "needed";
  if (next.checksum === commit.checksum && next.origin === origin) {
    // Who names a version asks nothing about newer ones.
    const also = options.allowBad ? " already" : ", and nothing newer is there";
    if (next.booted) return nothing(`${shownName(commit)} is running${also}`);
    const steps: Step[] = options.reboot ? [{ do: "save-baseline" }] : [];
    return { steps, summary: `${shownName(commit)} is ready and boots next`, reboot };
  }
  const kernelArguments = argumentsOf(deployments);
  refuseDeploy(observed, commit, kernelArguments, options);
  const about = { checksum: commit.checksum, version: commit.version, kernelArguments: null };
  const from = shownName(bootedOf(deployments));
  const fetch: Step = { do: "fetch", branch, checksum: commit.checksum, version: commit.version };
  return {
    steps: [
      ...(candidate.complete ? [] : [fetch]),
      { do: "save-baseline" },
      {
        do: "stage",
        change: { checksum: commit.checksum, version: commit.version, origin, kernelArguments },
      },
      { do: "record", kind: "staged", summary: `staged ${shownName(commit)} over ${from}`, about },
    ],
    summary: `${shownName(commit)} boots next`,
    reboot,
  };
}

/** Why `commit` would not be taken, if so. Errors: REMEMBERED_BAD, DOWNGRADE. */
function refuseDeploy(
  { deployments, bad }: Observed,
  commit: Commit,
  kernelArguments: readonly string[],
  { allowBad, allowDowngrade }: DeployOptions,
): void {
  const known = allowBad ? undefined : findBad(bad, commit.checksum, kernelArguments);
  if (known) throw new AtollError("REMEMBERED_BAD", badParameters(known));
  const booted = bootedOf(deployments);
  if (!allowDowngrade && isOlder(commit, booted)) {
    throw new AtollError("DOWNGRADE", { version: shownName(commit), current: shownName(booted) });
  }
}

function badParameters(tree: BadTree): { version: string; checksum: string; at: string; reason: string } {
  const checksum = tree.checksum.slice(0, 12);
  return {
    version: tree.version ?? checksum,
    checksum,
    at: tree.at.slice(0, 16),
    reason: tree.reasons.join("; "),
  };
}

interface Dated {
  readonly version: string | null;
  readonly timestamp: string;
}

/**
 * Versions decide, for a tree's timestamp says when its newest package was made, and two trees may share it.
 * Where a version is missing or equal, the timestamp does.
 */
export function isOlder(tree: Dated, than: Dated): boolean {
  const byVersion = tree.version && than.version ? compareDebianVersions(tree.version, than.version) : 0;
  return byVersion === 0 ? tree.timestamp < than.timestamp : byVersion < 0;
}

/** Undoes the last change: drops what is staged, else goes one deployment back. Errors: NO_ROLLBACK. */
export function planRollback({ deployments }: Observed, reboot: boolean): Plan {
  const staged = deployments.find((one) => one.staged);
  const installed = deployments.filter((one) => !one.staged);
  const booted = bootedOf(deployments);
  // A default that does not run yet was chosen by hand: to go back means to stay.
  const target = installed[0]?.booted ? installed[1] : booted;
  if (staged) {
    return withDropped(
      staged,
      `${shownName(staged)} was dropped; ${shownName(installed[0] ?? booted)} boots next`,
    );
  }
  if (target === undefined) throw new AtollError("NO_ROLLBACK");
  const about = { checksum: target.checksum, version: target.version, kernelArguments: null };
  return {
    steps: [
      { do: "save-baseline" },
      { do: "forget-change" },
      { do: "set-default", id: target.id },
      {
        do: "record",
        kind: "rolled-back",
        summary: `rolled back from ${shownName(booted)} to ${shownName(target)}`,
        about,
      },
    ],
    summary: `${shownName(target)} boots next`,
    reboot: reboot ? "started" : "needed",
  };
}

function withDropped(dropped: InstalledDeployment, summary: string): Plan {
  const about = { checksum: dropped.checksum, version: dropped.version, kernelArguments: null };
  return {
    steps: [
      { do: "undeploy", id: dropped.id },
      { do: "forget-change" },
      { do: "record", kind: "cleaned", summary, about },
    ],
    summary,
    reboot: "not-needed",
  };
}

/** Errors: KARG_INVALID, KARG_UNKNOWN, KARG_AMBIGUOUS, KARGS_REMEMBERED_BAD, NO_REMOTE. */
export function planKernelArguments({ deployments, bad }: Observed, request: KargsRequest): Plan {
  const next = nextOf(deployments);
  const before = argumentsOf(deployments);
  const kernelArguments = editKernelArguments(before, request);
  const difference = kernelArgumentDiff(before, kernelArguments);
  if (before.join(" ") === kernelArguments.join(" ")) return nothing("the kernel arguments are as asked for");
  // A tree that is to blame by itself runs all the same, or was asked for by name: these arguments are not the question.
  const known = request.again ? undefined : findBadPair(bad, next.checksum, kernelArguments);
  if (known) throw new AtollError("KARGS_REMEMBERED_BAD", badParameters(known));
  const { checksum, version, origin } = next;
  if (origin === null) throw new AtollError("NO_REMOTE", { problem: "the deployment has no origin" });
  const words = [
    ...difference.added.map((word) => `+${word}`),
    ...difference.removed.map((word) => `-${word}`),
  ];
  const summary = `kernel arguments: ${words.join(" ") || "in another order"}`;
  return {
    steps: [
      { do: "save-baseline" },
      { do: "stage", change: { checksum, version, origin, kernelArguments } },
      {
        do: "record",
        kind: "kernel-arguments",
        summary,
        about: { checksum, version, kernelArguments: difference },
      },
    ],
    summary,
    reboot: request.reboot ? "started" : "needed",
  };
}

/** Errors: DEPLOYMENT_UNKNOWN, DEPLOYMENT_AMBIGUOUS, PIN_STAGED. */
export function planPin({ deployments }: Observed, name: string, pinned: boolean): Plan {
  const target = namedDeployment(deployments, name);
  if (target.staged) throw new AtollError("PIN_STAGED", { version: shownName(target) });
  if (target.pinned === pinned) {
    return nothing(pinned ? `${shownName(target)} is pinned already` : `${shownName(target)} is not pinned`);
  }
  const summary = pinned ? `${shownName(target)} is pinned` : `${shownName(target)} is no longer pinned`;
  const about = { checksum: target.checksum, version: target.version, kernelArguments: null };
  return {
    steps: [
      { do: "pin", id: target.id, pinned },
      { do: "record", kind: pinned ? "pinned" : "unpinned", summary, about },
    ],
    summary,
    reboot: "not-needed",
  };
}

/** Pinned deployments stay. */
export function planCleanup({ deployments }: Observed, { pending, rollback }: CleanupRequest): Plan {
  const booted = deployments.findIndex((one) => one.booted);
  const dropped = deployments.filter(
    (one, index) =>
      !one.pinned && ((pending && index < booted) || (rollback && booted >= 0 && index > booted)),
  );
  const names = dropped.map((one) => `${shownName(one)}${one.staged ? " (staged)" : ""}`);
  const summary = names.length === 0 ? "deleted what no deployment uses" : `removed ${names.join(", ")}`;
  const about = { checksum: null, version: null, kernelArguments: null };
  return {
    steps: [
      ...dropped.map((one) => ({ do: "undeploy", id: one.id }) as const),
      ...(pending ? [{ do: "forget-change" } as const] : []),
      { do: "clean-up" },
      ...(names.length > 0 ? [{ do: "record", kind: "cleaned", summary, about } as const] : []),
    ],
    summary,
    reboot: "not-needed",
  };
}

export function planUnlock({ deployments }: Observed): Plan {
  const booted = bootedOf(deployments);
  if (booted.unlocked) return nothing("/usr is writable already, until the next boot");
  const summary = "/usr is writable until the next boot";
  const about = { checksum: booted.checksum, version: booted.version, kernelArguments: null };
  return {
    steps: [{ do: "unlock" }, { do: "record", kind: "unlocked", summary, about }],
    summary,
    reboot: "not-needed",
  };
}
