import { AtollError, hasCode } from "../errors.ts";
import type { CallOptions, Channel } from "./channel.ts";
import { EtcdError, mayPass } from "./failure.ts";
import { RangeRequest } from "./generated/etcd.ts";
import { type InformerOptions, inform } from "./informer.ts";
import { type KeyValue, readKeyValue, readRevision, wireKeys } from "./keys.ts";
import { get, remove, transact } from "./kv.ts";
import type { Lease, LeaseKeeper } from "./lease.ts";
import { methods } from "./methods.ts";
import { pause, pauseMs } from "./pause.ts";
import { type Compare, compare } from "./txn.ts";
import { watch } from "./watch.ts";

/** One who was elected, as long as the election's key of his is there. */
export interface Leadership {
  readonly key: string;
  /** The revision at which the key was made: later leaders have higher ones. */
  readonly revision: number;
  /**
   * Add these to the `if` of every transaction: they hold only while the key does. So who was deposed without knowing
   * (stopped, cut off) changes nothing any more.
   */
  readonly fence: readonly Compare[];
  /** Fires when the leadership is over, and before another can have it; its reason is ETCD_LEASE_LOST. */
  readonly lost: AbortSignal;
  readonly lease: Lease;
  /** Replaces the value that others see. False when the leadership is over. Errors: EtcdError, INTERRUPTED. */
  proclaim(value: string, options?: CallOptions): Promise<boolean>;
  /** Steps down: the next one is elected at once. Errors: EtcdError (it then ends when the lease does). */
  resign(options?: CallOptions): Promise<void>;
}

export interface Candidacy {
  /** The election: all candidates of the same name stand in it. */
  readonly name: string;
  /** What others see of the leader: who he is, where he can be reached. */
  readonly value: string;
  /** For how long a leader that went silent stays. */
  readonly ttlSeconds: number;
  readonly signal?: AbortSignal | undefined;
}

/** Who leads, as others see it. */
export interface Leader {
  readonly value: string;
  readonly key: string;
  readonly revision: number;
}

/**
 * Stands for election, and waits until elected. The keys are as etcd's own clients make them (the candidate whose key is
 * oldest leads), so `etcdctl elect` can stand in the same election. Rides over whatever can pass; when its lease is lost
 * while waiting, it stands again with a new one.
 * Errors: INTERRUPTED (nothing is left behind but a lease that ends by itself), ETCD_REFUSED.
 */
export async function campaign(
  channel: Channel,
  leases: LeaseKeeper,
  candidacy: Candidacy,
): Promise<Leadership> {
  const { signal } = candidacy;
  for (let tries = 1; ; tries++) {
    if (signal?.aborted) throw new AtollError("INTERRUPTED", { step: `the election ${candidacy.name}` });
    let lease: Lease | null = null;
    let elected = false;
    try {
      lease = await leases.grant(candidacy.ttlSeconds, { signal });
      const own = await stand(channel, candidacy, lease);
      await waitForTurn(channel, candidacy, own, AbortSignal.any([lease.lost, ...(signal ? [signal] : [])]));
      elected = !lease.lost.aborted && !signal?.aborted;
      if (elected) return leadershipOf(channel, own, lease);
    } catch (error) {
      if (!signal?.aborted && lease?.lost.aborted !== true && !passes(error)) throw error;
    } finally {
      // The next candidate should not have to wait for the lease's end; if word does not get through, that is what he does.
      if (lease && !elected) await lease.release({ timeoutMs: releaseMs }).catch(() => {});
    }
    await pause(pauseMs(tries), `the election ${candidacy.name}`, signal);
  }
}

const releaseMs = 1000;

/** A lease that etcd does not know any more is no reason to give up either. */
function passes(error: unknown): boolean {
  return (
    mayPass(error) ||
    hasCode(error, "ETCD_LEASE_LOST") ||
    (error instanceof EtcdError && error.grpc === "NOT_FOUND")
  );
}

/** Puts the candidate's key, and gives it as etcd has it. Asked again it finds its own key: nobody else has this lease. */
async function stand(channel: Channel, { name, value, signal }: Candidacy, lease: Lease): Promise<KeyValue> {
  const key = `${name}/${lease.id.toString(16)}`;
  for (let tries = 1; ; tries++) {
    try {
      await transact(
        channel,
        { if: [compare.missing(key)], do: [{ kind: "put", key, value, lease: lease.id }] },
        { signal },
      );
      const own = await get(channel, key, { signal });
      if (own) return own;
      throw new AtollError("ETCD_LEASE_LOST", { lease: lease.id.toString(16), cause: "its key is gone" });
    } catch (error) {
      if (!mayPass(error) || lease.lost.aborted) throw error;
      await pause(pauseMs(tries), "standing for election", signal);
    }
  }
}

/** Waits until all who stood before are gone, each time for the one who stood just before. Ends when `signal` fires. */
async function waitForTurn(
  channel: Channel,
  { name }: Candidacy,
  own: KeyValue,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = 1; !signal.aborted; ) {
    try {
      const { before, revision } = await justBefore(channel, name, own, signal);
      if (before === null) return;
      tries = 1;
      await untilGone(channel, before.key, revision + 1, signal);
    } catch (error) {
      if (!mayPass(error)) throw error;
      await pause(pauseMs(tries++), `the election ${name}`, signal);
    }
  }
}

async function justBefore(
  channel: Channel,
  name: string,
  own: KeyValue,
  signal: AbortSignal,
): Promise<{ readonly before: KeyValue | null; readonly revision: number }> {
  const newestFirst = { sortOrder: 2, sortTarget: 2, limit: 1n } as const;
  const older = { maxCreateRevision: BigInt(own.createRevision - 1) };
  const request = RangeRequest.fromPartial({ ...wireKeys({ prefix: `${name}/` }), ...newestFirst, ...older });
  const answer = await channel.unary(methods.range, request, { signal });
  const [before] = answer.kvs;
  return { before: before ? readKeyValue(before) : null, revision: readRevision(answer.header?.revision) };
}

/** Ends when a key that was there before revision `from` is deleted, when that cannot be known any more, or by `signal`. */
async function untilGone(channel: Channel, key: string, from: number, signal: AbortSignal): Promise<void> {
  for await (const event of watch(channel, { key }, { from, only: "deletes", signal })) {
    if (event.kind !== "progress") return;
  }
}

/** Fires when somebody deletes the leader's key under it. */
function keyGone(channel: Channel, own: KeyValue, lease: Lease): AbortSignal {
  const gone = new AbortController();
  const follow = async (): Promise<void> => {
    for (let from = own.modRevision + 1; !lease.lost.aborted; ) {
      await untilGone(channel, own.key, from, lease.lost);
      const now = await get(channel, own.key, { signal: lease.lost });
      if (now?.createRevision !== own.createRevision) break;
      from = now.modRevision + 1;
    }
    const cause = "the key of its leadership was deleted";
    gone.abort(new AtollError("ETCD_LEASE_LOST", { lease: lease.id.toString(16), cause }));
  };
  // What is not heard of for an error is still found out by the fence and by the lease.
  follow().catch(() => {});
  return gone.signal;
}

function leadershipOf(channel: Channel, own: KeyValue, lease: Lease): Leadership {
  const { key, createRevision } = own;
  const fence = [compare.createRevision(key, "=", createRevision)];
  return {
    key,
    revision: createRevision,
    fence,
    lost: AbortSignal.any([lease.lost, keyGone(channel, own, lease)]),
    lease,
    async proclaim(value, options = {}) {
      const write = { kind: "put", key, value, lease: lease.id } as const;
      const { succeeded } = await transact(channel, { if: fence, do: [write] }, options);
      return succeeded;
    },
    async resign(options = {}) {
      // The key first: should the lease not be given back, the next one is elected all the same.
      await remove(channel, { key }, options).catch(() => {});
      await lease.release(options);
    },
  };
}

/** Who leads, each time when that changes; null for nobody. Ends when the signal fires. Errors: as for `inform`. */
export async function* observe(
  channel: Channel,
  name: string,
  options: InformerOptions = {},
): AsyncGenerator<Leader | null, void> {
  let known: Leader | null | undefined;
  for await (const { items } of inform(channel, { prefix: `${name}/` }, options)) {
    const [first] = [...items.values()].toSorted((a, b) => a.createRevision - b.createRevision);
    const leader = first
      ? { value: first.value.toString(), key: first.key, revision: first.createRevision }
      : null;
    if (known !== undefined && leader?.key === known?.key && leader?.value === known?.value) continue;
    known = leader;
    yield leader;
  }
}
