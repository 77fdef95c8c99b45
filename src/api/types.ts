/**
 * What goes over the wire, for clients to `import type`. The typebox schemas in schemas.ts check it at run time;
 * schemas.test.ts proves that the two say the same. No code here: importing this file costs nothing.
 *
 * The API is HTTP on the unix socket /run/atoll/api.sock:
 *
 * | route | request | response |
 * |---|---|---|
 * | GET /v1/host | | `StatusResponse` |
 * | GET /v1/host/history?limit=N | | `HistoryResponse`, newest first |
 * | GET /v1/host/health?fresh=true | | `HealthResponse`; `fresh` runs the checks now, and changes nothing |
 * | GET /v1/host/diff?from=A&to=B | | `TreeDiff`; A and B are deployment names (see `DeploymentName`) |
 * | POST /v1/host/VERB | `HostRequests[VERB]` | 202 `Operation` |
 * | GET /v1/operations | | `OperationsResponse`, newest first |
 * | GET /v1/operations/ID | | `Operation` |
 * | GET /v1/operations/ID/events | | lines of `OperationEvent` as JSON, from the start; ends when the operation does |
 * | DELETE /v1/operations/ID | | 202 `Operation`: asked to stop, and stops at the next safe point |
 * | GET /v1/version | | `VersionResponse` |
 * | GET /v1/openapi.json | | the OpenAPI 3.1 document |
 *
 * Every failure is an `ErrorResponse` with the status that src/errors.ts gives its code.
 */
import type {
  BadTree,
  Deployment,
  EtcConflict,
  HealthReport,
  HistoryEntry,
  HostStatus,
  PackageDiff,
  UpdateAvailable,
  Verdict,
} from "../host/model.ts";

export type {
  BadTree,
  BootKind,
  Deployment,
  EtcConflict,
  FailedBoot,
  HealthCheck,
  HealthReport,
  HistoryEntry,
  HistoryKind,
  HostStatus,
  PackageChange,
  PackageDiff,
  PackageVersion,
  Remote,
  Signature,
  Tree,
  TreeDiff,
  Trial,
  TrialState,
  UpdateAvailable,
  Verdict,
} from "../host/model.ts";

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
  readonly target: DeploymentName;
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

export interface StatusResponse extends HostStatus {
  /** The changing operation that runs now. */
  readonly operation: Operation | null;
}

export interface HistoryResponse {
  readonly entries: readonly HistoryEntry[];
  readonly bad: readonly BadTree[];
}

export interface HealthResponse {
  /** Null until the judge has decided, or of the checks run now. */
  readonly report: HealthReport | null;
  readonly verdict: Verdict | null;
}

export interface OperationsResponse {
  readonly operations: readonly Operation[];
}

export interface VersionResponse {
  /** Of the daemon. */
  readonly version: string;
  /** Of the API: `v1`. */
  readonly api: string;
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

export interface ErrorBody {
  /** From src/errors.ts; stable. */
  readonly code: string;
  readonly message: string;
  /** What to do now. */
  readonly next: string;
  readonly parameters: Readonly<Record<string, string | number>>;
}

export interface ErrorResponse {
  readonly error: ErrorBody;
}
