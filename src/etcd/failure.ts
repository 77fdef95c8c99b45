import { AtollError, type ErrorCode, hasCode } from "../errors.ts";
import type { Manner } from "./channel.ts";

/** gRPC's status codes, by their number (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
const grpcCodes = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

export type GrpcCode = (typeof grpcCodes)[number];

/** A call that etcd did not do, or of which nobody can say whether it did. */
export class EtcdError extends AtollError {
  /** What the server said, or this side of the connection. */
  readonly grpc: GrpcCode;
  /** The request may have been handled. False: it certainly was not, and nothing changed. */
  readonly sent: boolean;

  constructor(failure: Failure) {
    super(codeOf(failure), { method: methodName(failure.method.path), cause: failure.details });
    this.grpc = failure.grpc;
    this.sent = failure.sent;
  }
}

export interface Failure {
  readonly method: Manner;
  readonly grpc: GrpcCode;
  readonly details: string;
  readonly sent: boolean;
}

/** With these codes a server says that it looked at the request and did not do it. */
const refusals: ReadonlySet<GrpcCode> = new Set([
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "UNAUTHENTICATED",
]);

/**
 * What etcd says when it turned a request away before it looked at it (its texts are part of its interface: its own
 * client tells errors apart by them). The request does no harm when asked again: another member may take it, or the same
 * one with the right revision of its users.
 */
const turnedAway: ReadonlySet<string> = new Set([
  "etcdserver: no leader",
  "etcdserver: rpc not supported for learner",
  "etcdserver: revision of auth store is old",
  // Members are added only to a cluster whose members have all been connected for some seconds.
  "etcdserver: unhealthy cluster",
]);

const compacted = "etcdserver: mvcc: required revision has been compacted";

/** The failure of a request that had left, from the status that came of it. */
export function failureAfterSending(
  method: Manner,
  status: { readonly code: number; readonly details: string },
): Failure {
  const grpc = grpcCodes[status.code] ?? "UNKNOWN";
  const sent = !refusals.has(grpc) && !turnedAway.has(status.details);
  return { method, grpc, details: status.details, sent };
}

/** The failure of a request that never left: there was no connection. */
export function failureBeforeSending(method: Manner, details: string): Failure {
  return { method, grpc: "UNAVAILABLE", details, sent: false };
}

/** Whether the same request may be asked again without being done twice, and another answer can be hoped for. */
export function mayAskAgain({ method, grpc, details, sent }: Failure): boolean {
  if (turnedAway.has(details)) return true;
  if (refusals.has(grpc)) return false;
  return !sent || method.repeatable;
}

/** Whether the endpoint is to be blamed, so that the next request goes to another. */
export function blamesEndpoint({ grpc, details }: Failure): boolean {
  return turnedAway.has(details) || grpc === "UNAVAILABLE" || grpc === "DEADLINE_EXCEEDED";
}

function codeOf({ method, grpc, details, sent }: Failure): ErrorCode {
  if (details === compacted) return "ETCD_COMPACTED";
  if (turnedAway.has(details)) return "ETCD_UNREACHABLE";
  if (refusals.has(grpc)) return "ETCD_REFUSED";
  return sent && !method.repeatable ? "ETCD_UNCERTAIN" : "ETCD_UNREACHABLE";
}

function methodName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** True when trying once more, later, may go well: etcd was not there, or did not say. */
export function mayPass(error: unknown): error is AtollError {
  return hasCode(error, "ETCD_UNREACHABLE", "ETCD_UNCERTAIN");
}
