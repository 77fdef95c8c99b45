import { AtollError } from "../errors.ts";
import {
  RangeRequest,
  type RequestOp,
  type ResponseOp,
  Compare_CompareResult as Result,
  Compare_CompareTarget as Target,
  type TxnRequest,
  TxnRequest as TxnRequestCodec,
  type Compare as WireCompare,
} from "./generated/etcd.ts";
import { type Keys, type KeyValue, readKeyValue, readRevision, wireKeys } from "./keys.ts";

/** Something that must be so for a transaction to do its `do`. Make them with `compare`. */
export interface Compare {
  readonly key: string;
  readonly is: Relation;
  readonly to:
    | { readonly kind: "version" | "createRevision" | "modRevision"; readonly number: number }
    | { readonly kind: "value"; readonly value: string | Uint8Array }
    | { readonly kind: "lease"; readonly lease: bigint };
}

export type Relation = "=" | "!=" | ">" | "<";

export const compare = {
  /** There is no such key. */
  missing: (key: string): Compare => ({ key, is: "=", to: { kind: "version", number: 0 } }),
  exists: (key: string): Compare => ({ key, is: ">", to: { kind: "version", number: 0 } }),
  /** Nobody has written it since it was read: the revision is that of the read; 0 for a key that was not there. */
  unchanged: (key: string, modRevision: number): Compare => ({
    key,
    is: "=",
    to: { kind: "modRevision", number: modRevision },
  }),
  createRevision: (key: string, is: Relation, number: number): Compare => ({
    key,
    is,
    to: { kind: "createRevision", number },
  }),
  modRevision: (key: string, is: Relation, number: number): Compare => ({
    key,
    is,
    to: { kind: "modRevision", number },
  }),
  value: (key: string, is: Relation, value: string | Uint8Array): Compare => ({
    key,
    is,
    to: { kind: "value", value },
  }),
  lease: (key: string, is: Relation, lease: bigint): Compare => ({ key, is, to: { kind: "lease", lease } }),
} as const;

/** One thing to do in a transaction. The same key may be written only once in it. */
export type Operation =
  | {
      readonly kind: "put";
      readonly key: string;
      readonly value: string | Uint8Array;
      readonly lease?: bigint;
    }
  | { readonly kind: "delete"; readonly keys: Keys }
  | { readonly kind: "read"; readonly keys: Keys };

export type OperationResult =
  | { readonly kind: "put" }
  | { readonly kind: "delete"; readonly deleted: number }
  | { readonly kind: "read"; readonly items: readonly KeyValue[] };

/** All of `do` at one revision if every one of `if` holds, all of `otherwise` if not. */
export interface Transaction {
  readonly if?: readonly Compare[];
  readonly do: readonly Operation[];
  readonly otherwise?: readonly Operation[];
}

export interface TransactionLimits {
  /** etcd's `--max-txn-ops`: how many compares, and how many operations in either branch. */
  readonly operations: number;
  /** etcd's `--max-request-bytes`, less something for what goes around. */
  readonly bytes: number;
}

/** etcd's own where it was not told otherwise: 128, and 1.5 MiB. */
export const usualLimits: TransactionLimits = { operations: 128, bytes: 1_500_000 };

/** The transaction as it goes over the wire. Errors: ETCD_TXN_TOO_LARGE. */
export function wireTransaction(transaction: Transaction, limits: TransactionLimits): TxnRequest {
  const { if: conditions = [], do: operations, otherwise = [] } = transaction;
  const request: TxnRequest = {
    compare: conditions.map(wireCompare),
    success: operations.map(wireOperation),
    failure: otherwise.map(wireOperation),
  };
  const most = Math.max(conditions.length, operations.length, otherwise.length);
  const bytes = TxnRequestCodec.encode(request).finish().length;
  if (most > limits.operations || bytes > limits.bytes) throw tooLarge(most, bytes, limits);
  return request;
}

function tooLarge(operations: number, bytes: number, limits: TransactionLimits): AtollError {
  return new AtollError("ETCD_TXN_TOO_LARGE", {
    operations,
    bytes,
    limit: limits.operations,
    byteLimit: limits.bytes,
  });
}

/**
 * `operations` in their order, in as few transactions as hold them, each with the same `conditions`.
 * Errors: ETCD_TXN_TOO_LARGE when one operation alone is too large.
 */
export function splitTransaction(
  conditions: readonly Compare[],
  operations: readonly Operation[],
  limits: TransactionLimits = usualLimits,
): Transaction[] {
  const parts: Operation[][] = [];
  const around = sizeOf({ if: conditions, do: [] });
  let part: Operation[] = [];
  let size = around;
  for (const operation of operations) {
    const own = sizeOf({ do: [operation] });
    if (around + own > limits.bytes) throw tooLarge(1, around + own, limits);
    if (part.length > 0 && (part.length >= limits.operations || size + own > limits.bytes)) {
      parts.push(part);
      part = [];
      size = around;
    }
    part.push(operation);
    size += own;
  }
  if (part.length > 0) parts.push(part);
  return parts.map((some) => ({ if: conditions, do: some }));
}

function sizeOf(transaction: Transaction): number {
  return TxnRequestCodec.encode(wireTransaction(transaction, boundless)).finish().length;
}

const boundless: TransactionLimits = {
  operations: Number.POSITIVE_INFINITY,
  bytes: Number.POSITIVE_INFINITY,
};

const relations = {
  "=": Result.EQUAL,
  "!=": Result.NOT_EQUAL,
  ">": Result.GREATER,
  "<": Result.LESS,
} as const;

function wireCompare({ key, is, to }: Compare): WireCompare {
  return { key: Buffer.from(key), rangeEnd: Buffer.alloc(0), result: relations[is], ...wireTarget(to) };
}

function wireTarget(to: Compare["to"]): Pick<WireCompare, "target" | "targetUnion"> {
  switch (to.kind) {
    case "version":
      return { target: Target.VERSION, targetUnion: { $case: "version", value: BigInt(to.number) } };
    case "createRevision":
      return { target: Target.CREATE, targetUnion: { $case: "createRevision", value: BigInt(to.number) } };
    case "modRevision":
      return { target: Target.MOD, targetUnion: { $case: "modRevision", value: BigInt(to.number) } };
    case "value":
      return { target: Target.VALUE, targetUnion: { $case: "value", value: Buffer.from(to.value) } };
    case "lease":
      return { target: Target.LEASE, targetUnion: { $case: "lease", value: to.lease } };
  }
}

function wireOperation(operation: Operation): RequestOp {
  switch (operation.kind) {
    case "put": {
      const { key, value, lease = 0n } = operation;
      const put = { key: Buffer.from(key), value: Buffer.from(value), lease };
      return { request: { $case: "requestPut", value: put } };
    }
    case "delete":
      return { request: { $case: "requestDeleteRange", value: wireKeys(operation.keys) } };
    case "read":
      return {
        request: { $case: "requestRange", value: RangeRequest.create(wireKeys(operation.keys)) },
      };
  }
}

export function readResult({ response }: ResponseOp): OperationResult {
  switch (response?.$case) {
    case "responseRange":
      return { kind: "read", items: response.value.kvs.map(readKeyValue) };
    case "responseDeleteRange":
      return { kind: "delete", deleted: readRevision(response.value.deleted) };
    case "responsePut":
    case undefined:
      return { kind: "put" };
  }
}
