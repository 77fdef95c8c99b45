import type { CallOptions, Channel } from "./channel.ts";
import { RangeRequest } from "./generated/etcd.ts";
import { justAfter, type Keys, type KeyValue, readKeyValue, readRevision, wireKeys } from "./keys.ts";
import { methods } from "./methods.ts";
import {
  type Compare,
  type Operation,
  type OperationResult,
  readResult,
  splitTransaction,
  type Transaction,
  type TransactionLimits,
  usualLimits,
  wireTransaction,
} from "./txn.ts";

export interface ReadOptions extends CallOptions {
  /** As it was then; as it is now when absent. Errors: ETCD_COMPACTED. */
  readonly revision?: number;
  /** Also from a member that may be behind, or knows no leader. Not so when absent: what is read is the newest. */
  readonly stale?: boolean;
}

export interface RangeOptions extends ReadOptions {
  readonly keysOnly?: boolean;
  /** How many keys each request brings; 1,000 when absent. */
  readonly pageSize?: number;
}

export interface Page {
  /** The revision of all pages: together they are the range as it was at one moment. */
  readonly revision: number;
  readonly items: readonly KeyValue[];
}

export interface TransactionResult {
  /** Whether `do` was done; `otherwise` was if not. */
  readonly succeeded: boolean;
  readonly revision: number;
  /** One for each operation that was done. */
  readonly results: readonly OperationResult[];
}

const usualPage = 1000;

/** The key as it is; null when there is none. Errors: EtcdError, INTERRUPTED. */
export async function get(
  channel: Channel,
  key: string,
  options: ReadOptions = {},
): Promise<KeyValue | null> {
  const { items } = await range(channel, { key }, options);
  return items[0] ?? null;
}

/**
 * All of `keys` at one revision, in their order (by bytes), by as many requests as it takes.
 * Errors: EtcdError (ETCD_COMPACTED when the history went while it was read), INTERRUPTED.
 */
export async function range(channel: Channel, keys: Keys, options: RangeOptions = {}): Promise<Page> {
  const items: KeyValue[] = [];
  let revision = 0;
  for await (const page of pages(channel, keys, options)) {
    revision = page.revision;
    for (const item of page.items) items.push(item);
  }
  return { revision, items };
}

/** The same, page by page as they come; at least one. */
export async function* pages(
  channel: Channel,
  keys: Keys,
  options: RangeOptions = {},
): AsyncGenerator<Page, void> {
  const { pageSize = usualPage, keysOnly = false, stale = false } = options;
  const { key, rangeEnd } = wireKeys(keys);
  let from = key;
  let revision = options.revision ?? 0;
  for (;;) {
    const limit = BigInt(rangeEnd.length === 0 ? 0 : pageSize);
    const request = { key: from, rangeEnd, limit, revision: BigInt(revision), keysOnly, serializable: stale };
    const answer = await channel.unary(methods.range, RangeRequest.fromPartial(request), readCall(options));
    if (revision === 0) revision = readRevision(answer.header?.revision);
    yield { revision, items: answer.kvs.map(readKeyValue) };
    const last = answer.kvs.at(-1);
    if (!answer.more || last === undefined) return;
    from = justAfter(last.key);
  }
}

/** How many of `keys` there are, and the revision at which that was so. Errors: EtcdError, INTERRUPTED. */
export async function count(
  channel: Channel,
  keys: Keys,
  options: ReadOptions = {},
): Promise<{ readonly count: number; readonly revision: number }> {
  const revision = BigInt(options.revision ?? 0);
  const request = { ...wireKeys(keys), revision, countOnly: true, serializable: options.stale ?? false };
  const answer = await channel.unary(methods.range, RangeRequest.fromPartial(request), readCall(options));
  return { count: readRevision(answer.count), revision: readRevision(answer.header?.revision) };
}

function readCall({ signal, timeoutMs, endpoint, stale }: ReadOptions): CallOptions {
  return { signal, timeoutMs, endpoint, ...(stale && { needsLeader: false }) };
}

/** Writes a key; gives the revision. Errors: EtcdError (look at `sent`), INTERRUPTED. */
export async function put(
  channel: Channel,
  key: string,
  value: string | Uint8Array,
  options: CallOptions & { readonly lease?: bigint } = {},
): Promise<number> {
  const request = { key: Buffer.from(key), value: Buffer.from(value), lease: options.lease ?? 0n };
  const answer = await channel.unary(methods.put, request, options);
  return readRevision(answer.header?.revision);
}

/** Deletes keys; gives how many there were, and the revision. Errors: EtcdError (look at `sent`), INTERRUPTED. */
export async function remove(
  channel: Channel,
  keys: Keys,
  options: CallOptions = {},
): Promise<{ readonly deleted: number; readonly revision: number }> {
  const answer = await channel.unary(methods.deleteRange, wireKeys(keys), options);
  return { deleted: readRevision(answer.deleted), revision: readRevision(answer.header?.revision) };
}

interface TransactionOptions extends CallOptions {
  /** What the servers were told to take at once; etcd's own limits when absent. */
  readonly limits?: TransactionLimits;
}

/**
 * Does a transaction, whole or not at all.
 * Errors: ETCD_TXN_TOO_LARGE; EtcdError (look at `sent`; the same key written twice is ETCD_REFUSED), INTERRUPTED.
 */
export async function transact(
  channel: Channel,
  transaction: Transaction,
  options: TransactionOptions = {},
): Promise<TransactionResult> {
  const request = wireTransaction(transaction, options.limits ?? usualLimits);
  const answer = await channel.unary(methods.txn, request, options);
  return {
    succeeded: answer.succeeded,
    revision: readRevision(answer.header?.revision),
    results: answer.responses.map(readResult),
  };
}

/**
 * Does any number of operations in their order, in as few transactions as hold them, each under `conditions` (a fence).
 * Each transaction is whole or not at all, all together are not: what comes after the first one whose conditions do not
 * hold is not done. Gives how many operations were done.
 * Errors: as for `transact`; those before the failed transaction are done.
 */
export async function transactAll(
  channel: Channel,
  conditions: readonly Compare[],
  operations: readonly Operation[],
  options: TransactionOptions = {},
): Promise<{ readonly succeeded: boolean; readonly done: number }> {
  let done = 0;
  for (const part of splitTransaction(conditions, operations, options.limits)) {
    const { succeeded } = await transact(channel, part, options);
    if (!succeeded) return { succeeded: false, done };
    done += part.do.length;
  }
  return { succeeded: true, done };
}

/**
 * Drops the history before `revision`. Watches and reads of what is dropped then end with ETCD_COMPACTED.
 * Errors: EtcdError (ETCD_COMPACTED when it is dropped already), INTERRUPTED.
 */
export async function compact(channel: Channel, revision: number, options: CallOptions = {}): Promise<void> {
  await channel.unary(methods.compact, { revision: BigInt(revision), physical: false }, options);
}
