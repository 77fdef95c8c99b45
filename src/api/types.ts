/**
 * What goes over the wire, for clients to `import type`. The types that the host itself knows are its
 * own, in src/host/model.ts. No code here: importing this file costs nothing.
 *
 * The API is HTTP on the unix socket /run/atoll/api.sock:
 *
 * | route | request | response |
 * |---|---|---|
 * | GET /v1/host | | `StatusResponse` |
 * | GET /v1/host/history?limit=N | | `HistoryResponse`, newest first |
 * | GET /v1/host/health?fresh=true | | `HealthResponse`; `fresh` runs the checks now, and changes nothing |
 * | GET /v1/host/diff?from=A&to=B | | `TreeDiff`; A and B are deployment names (see `DeploymentName`), by default what runs and what is to come |
 * | POST /v1/host/VERB | `HostRequests[VERB]` | 202 `Operation` |
 * | GET /v1/operations | | `OperationsResponse`, newest first |
 * | GET /v1/operations/ID | | `Operation` |
 * | GET /v1/operations/ID/events | | lines of `OperationEvent` as JSON, from the start; ends when the operation does |
 * | DELETE /v1/operations/ID | | 202 `Operation`: asked to stop: as long as nothing is changed it does, else it ends as it would |
 * | GET /v1/version | | `VersionResponse` |
 * | GET /v1/openapi.json | | the OpenAPI 3.1 document |
 *
 * Every failure is an `ErrorResponse` with the status that src/errors.ts gives its code.
 */
import type {
  BadTree,
  ErrorBody,
  HealthReport,
  HistoryEntry,
  HostStatus,
  Operation,
  Verdict,
} from "../host/model.ts";

export type {
  BadTree,
  BootKind,
  CleanupRequest,
  Deployment,
  DeploymentName,
  DeployRequest,
  ErrorBody,
  EtcConflict,
  FailedBoot,
  HealthCheck,
  HealthReport,
  HistoryEntry,
  HistoryKind,
  HostRequests,
  HostStatus,
  HostVerb,
  KargsRequest,
  Operation,
  OperationEvent,
  OperationResult,
  PackageChange,
  PackageDiff,
  PackageVersion,
  PinRequest,
  RebaseRequest,
  Remote,
  RollbackRequest,
  Signature,
  Tree,
  TreeDiff,
  Trial,
  TrialState,
  UpdateAvailable,
  UpgradeRequest,
  UsroverlayRequest,
  Verdict,
} from "../host/model.ts";

export interface StatusResponse extends HostStatus {
  /** The changing operation that runs now. */
  readonly operation: Operation | null;
}

export interface HistoryResponse {
  /** Newest first. */
  readonly entries: readonly HistoryEntry[];
  readonly bad: readonly BadTree[];
}

export interface HealthResponse {
  /** Null until the judge has decided; with `fresh`, of the checks run now. */
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

export interface ErrorResponse {
  readonly error: ErrorBody;
}
