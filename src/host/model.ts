/**
 * What a host is, as data. Every other file of this room moves these along; nothing here acts.
 * Times are ISO 8601 in UTC. Sizes are bytes, durations milliseconds, where a name does not say otherwise.
 */
import type { PackageDiff } from "../packages.ts";

export type { PackageChange, PackageDiff, PackageVersion } from "../packages.ts";

/** Who vouches for a commit, as libostree and GPG see it now, with the keys that the booted tree trusts. */
export interface Signature {
  readonly valid: boolean;
  /** Why it is not valid; null when it is. */
  readonly problem: "unsigned" | "unknown-key" | "revoked-key" | "expired" | "bad" | "unreadable" | null;
  /** Long key id or fingerprint, upper-case hexadecimal. */
  readonly keyId: string | null;
  /** Name on the key. */
  readonly who: string | null;
  readonly signedAt: string | null;
}

/** A tree installed on this host. */
export interface Deployment {
  /** Place in boot order: 0 boots next. A staged deployment is 0 until it is finalized at shutdown. */
  readonly index: number;
  /** `<checksum>.<serial>`: names one deployment for as long as it exists. */
  readonly id: string;
  readonly checksum: string;
  readonly serial: number;
  readonly version: string | null;
  /** When the commit says that it was made. */
  readonly timestamp: string;
  readonly booted: boolean;
  readonly staged: boolean;
  readonly pinned: boolean;
  /** The one that `rollback` goes to. */
  readonly rollback: boolean;
  /** Not sealed: `usroverlay` has put a writable layer over /usr. */
  readonly unlocked: boolean;
  /** Without `ostree=` and without what GRUB adds. Null when the host cannot tell (a foreign staged one). */
  readonly kernelArguments: readonly string[] | null;
  /** `<tree id>-<kernel argument hash>`; null where the tree has no tree id. */
  readonly bootId: string | null;
  readonly treeId: string | null;
  readonly signature: Signature;
  /** `remote:ref` that upgrades follow; null when there is none. */
  readonly origin: string | null;
}

/** A commit, deployed or not. */
export interface Tree {
  readonly checksum: string;
  readonly version: string | null;
  readonly timestamp: string;
}

/** Answer to "what differs?". `packages` is null when a tree does not list its packages. */
export interface TreeDiff {
  readonly from: Tree;
  readonly to: Tree;
  readonly packages: PackageDiff | null;
}

/** What the remote offers beyond the booted tree, as of the last check. */
export interface UpdateAvailable {
  readonly checksum: string;
  readonly version: string | null;
  readonly timestamp: string;
  readonly origin: string;
  readonly signature: Signature;
  /** Bytes that it will take on this disk; null when the tree does not say. */
  readonly size: number | null;
  readonly packages: PackageDiff | null;
  /** Why `upgrade` would refuse it as things stand; null when it would not. */
  readonly refusal: { readonly code: string; readonly message: string } | null;
  readonly checkedAt: string;
}

export interface HealthCheck {
  /** `units`, `storage`, `daemon`, `network`, `containers`, `boot-complete`, or `required.d/NAME`, `wanted.d/NAME`. */
  readonly name: string;
  /** Whether its failure makes the host unwell. */
  readonly required: boolean;
  readonly outcome: "passed" | "failed" | "skipped";
  /** One sentence. */
  readonly summary: string;
  /** More lines, such as a script's output or the last log lines of a unit. */
  readonly detail: readonly string[];
  readonly durationMs: number;
}

export interface HealthReport {
  readonly outcome: "well" | "unwell";
  readonly startedAt: string;
  readonly endedAt: string;
  readonly checks: readonly HealthCheck[];
  /** The summaries of the required checks that failed. */
  readonly reasons: readonly string[];
}

/** How this boot came about, as GRUB told the kernel (docs/architecture.md, "The boot contract"). */
export type BootKind = "good" | "chosen" | "trial" | "fallback" | "unmanaged";

/**
 * Where the machine stands between a change and its verdict.
 *
 * - `unmanaged`: not booted through Atoll's GRUB; judged, but nothing is counted.
 * - `good`: booted what was proven good.
 * - `chosen`: booted another entry than was due, by hand or because that one's files do not load. Judged, but nothing is
 *   counted or written: the next boot is due as it was.
 * - `on-trial`: booted something new; no verdict yet.
 * - `judged-well`: the verdict is well, and is being written down. Then `good`.
 * - `judged-unwell`: the verdict is unwell; the machine reboots, and tries again or goes back.
 * - `fallen-back`: GRUB ran out of tries and started the last good deployment.
 * - `remembered`: the one that failed is on the list of bad trees.
 * - `undeployed`: it no longer is a deployment of this host. Then `settled`.
 * - `settled`: after a fallback, all is written down. From the next boot on `good`.
 */
export type TrialState =
  | "unmanaged"
  | "good"
  | "chosen"
  | "on-trial"
  | "judged-well"
  | "judged-unwell"
  | "fallen-back"
  | "remembered"
  | "undeployed"
  | "settled";

export interface Trial {
  readonly state: TrialState;
  /** The boot id that runs; null when unmanaged. */
  readonly bootId: string | null;
  /** Which try this boot is, 1 to `tries`; null when this boot is none. */
  readonly attempt: number | null;
  readonly tries: number;
  /** Boot id of the deployment that failed, after a fallback. */
  readonly failedBootId: string | null;
}

/** The judge's decision on one boot; also /run/atoll/verdict.json. */
export interface Verdict {
  readonly outcome: "well" | "unwell";
  readonly at: string;
  readonly boot: BootKind;
  readonly bootId: string | null;
  readonly attempt: number | null;
  readonly reasons: readonly string[];
}

/** One try that did not end well. */
export interface FailedBoot {
  /** 1 to 3, as GRUB counted; null when no log of that boot says. */
  readonly attempt: number | null;
  /** When its first log line was written; null when none reached the disk. */
  readonly startedAt: string | null;
  readonly reasons: readonly string[];
  /** Last and worst lines of its journal. */
  readonly log: readonly string[];
}

/** A deployment that fell back; never tried again unless asked for by name. */
export interface BadTree {
  readonly checksum: string;
  readonly version: string | null;
  readonly kernelArguments: readonly string[];
  readonly bootId: string;
  /** `tree`: it alone was new, and is bad with any arguments. `pair`: the two are bad together. */
  readonly blame: "tree" | "pair";
  readonly at: string;
  readonly reasons: readonly string[];
  readonly boots: readonly FailedBoot[];
  /** Asked for again by name since: the next fallback is news. */
  readonly askedAgain: boolean;
}

/** A file in /etc that both the owner and the new tree changed. The owner's stays. */
export interface EtcConflict {
  /** Absolute, such as `/etc/ssh/sshd_config`. */
  readonly path: string;
  readonly here: "changed" | "removed" | "added";
  readonly tree: "changed" | "removed" | "added";
}

export type HistoryKind =
  | "boot"
  | "verdict"
  | "staged"
  | "restaged"
  | "rolled-back"
  | "kernel-arguments"
  | "fallback"
  | "pinned"
  | "unpinned"
  | "cleaned"
  | "unlocked"
  | "refused"
  | "interrupted";

export interface HistoryEntry {
  readonly at: string;
  readonly kind: HistoryKind;
  /** One sentence for a person. */
  readonly summary: string;
  readonly checksum: string | null;
  readonly version: string | null;
  readonly bootId: string | null;
  /** Of a failed health check, a refusal, a fallback. */
  readonly reasons: readonly string[];
  readonly conflicts: readonly EtcConflict[];
  readonly kernelArguments: { readonly added: readonly string[]; readonly removed: readonly string[] } | null;
}

export interface Remote {
  readonly name: string;
  readonly url: string;
}

/** Everything that `atoll host status` shows. */
export interface HostStatus {
  readonly hostname: string;
  /** The kernel's name for this boot: the clock may be set while it lasts, this stays. */
  readonly boot: string;
  readonly bootedAt: string;
  /** In boot order. Exactly one is booted on a running host. */
  readonly deployments: readonly Deployment[];
  readonly remotes: readonly Remote[];
  readonly trial: Trial;
  /** Of this boot; null until the judge has decided. */
  readonly verdict: Verdict | null;
  readonly update: UpdateAvailable | null;
  /** The last check for an update that failed, until one succeeds. */
  readonly updateProblem: { readonly code: string; readonly message: string; readonly at: string } | null;
  readonly bad: readonly BadTree[];
  /** What the next boot will find in /etc changed from both sides; empty when nothing is staged. */
  readonly conflicts: readonly EtcConflict[];
  /** Until this boot is judged, and what an interruption left is put right. Operations wait for the first try at it. */
  readonly recovering: boolean;
}

/** The verbs that change a host, one at a time. */
export type HostVerb =
  | "upgrade"
  | "rollback"
  | "rebase"
  | "deploy"
  | "pin"
  | "unpin"
  | "kargs"
  | "cleanup"
  | "usroverlay";

/**
 * How to name a deployment or a commit: `booted`, `staged`, `rollback`, `update` (what the last check found), an index
 * (`0`), a version, or a checksum of which at least eight digits are given.
 */
export type DeploymentName = string;

export interface UpgradeRequest {
  /** `check`: only look. `stage` (the default): make it ready for the next boot. `reboot`: and reboot into it. */
  readonly mode?: "check" | "stage" | "reboot";
  /** Take a tree that is older than the booted one. */
  readonly allowDowngrade?: boolean;
}

export interface RollbackRequest {
  readonly reboot?: boolean;
}

export interface RebaseRequest {
  /** A stream (`testing`), a ref (`atoll/x86_64/testing`) or `remote:ref`. */
  readonly to: string;
  readonly reboot?: boolean;
  readonly allowDowngrade?: boolean;
}

export interface DeployRequest {
  /** A version or a checksum. To name it is to ask for it: older ones and remembered bad ones are taken. */
  readonly target: string;
  readonly reboot?: boolean;
}

export interface PinRequest {
  readonly deployment: DeploymentName;
}

export interface KargsRequest {
  /** `KEY` or `KEY=VALUE`, added at the end even if the key is there already. */
  readonly append?: readonly string[];
  /** `KEY=VALUE` removes that one; `KEY` removes the only one of that key, and refuses if there are several. */
  readonly delete?: readonly string[];
  /** `KEY=NEW`, or `KEY=OLD=NEW` where there are several of that key. */
  readonly replace?: readonly string[];
  readonly reboot?: boolean;
  /** Try arguments that are remembered as bad with this tree. */
  readonly again?: boolean;
}

export interface CleanupRequest {
  /** Drop the staged deployment. */
  readonly pending?: boolean;
  /** Drop the rollback deployment. */
  readonly rollback?: boolean;
}

/** A writable layer over /usr that is gone at the next boot. */
export type UsroverlayRequest = Readonly<Record<string, never>>;

export interface HostRequests {
  readonly upgrade: UpgradeRequest;
  readonly rollback: RollbackRequest;
  readonly rebase: RebaseRequest;
  readonly deploy: DeployRequest;
  readonly pin: PinRequest;
  readonly unpin: PinRequest;
  readonly kargs: KargsRequest;
  readonly cleanup: CleanupRequest;
  readonly usroverlay: UsroverlayRequest;
}

/** What an operation came to. */
export interface OperationResult {
  /** False: there was nothing to do (the CLI's exit code 77). For `upgrade` in mode `check`: an update is there. */
  readonly changed: boolean;
  /** One sentence for a person. */
  readonly summary: string;
  /** What boots next, after a change of it. */
  readonly deployment: Deployment | null;
  readonly update: UpdateAvailable | null;
  readonly packages: PackageDiff | null;
  readonly conflicts: readonly EtcConflict[];
  /** `needed`: takes effect at the next boot. `started`: the machine is on its way down. */
  readonly reboot: "not-needed" | "needed" | "started";
}

/** A refusal or failure, as it goes to people and programs. */
export interface ErrorBody {
  /** From src/errors.ts; stable. */
  readonly code: string;
  readonly message: string;
  /** What to do now. */
  readonly next: string;
  readonly parameters: Readonly<Record<string, string | number>>;
}

export interface Operation {
  readonly id: string;
  readonly verb: HostVerb;
  readonly state: "running" | "done" | "failed" | "cancelled";
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** The step that runs, or the last one that did. */
  readonly step: string | null;
  readonly result: OperationResult | null;
  readonly error: ErrorBody | null;
}

export type OperationEvent =
  | { readonly type: "step"; readonly at: string; readonly step: string }
  | { readonly type: "detail"; readonly at: string; readonly detail: string }
  | { readonly type: "result"; readonly at: string; readonly result: OperationResult }
  | { readonly type: "error"; readonly at: string; readonly error: ErrorBody };
