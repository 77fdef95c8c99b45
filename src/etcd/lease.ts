import { AtollError } from "../errors.ts";
import type { CallOptions, Channel, Stream } from "./channel.ts";
import { EtcdError } from "./failure.ts";
import type { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from "./generated/etcd.ts";
import { answered, asked, broken, granted, isDue, lookEveryMs, lostAt, type Term } from "./lease-term.ts";
import { methods } from "./methods.ts";
import { pause, pauseMs } from "./pause.ts";

/** A lease of etcd's: keys put with its id go when it goes. */
export interface Lease {
  readonly id: bigint;
  readonly ttlMs: number;
  /**
   * Fires when the lease is not ours any more, whyever, and before anybody else can have what hung on it; its reason is
   * ETCD_LEASE_LOST. A process that was stopped hears of it late: who must be sure asks `leftMs` before each step.
   */
  readonly lost: AbortSignal;
  /** Milliseconds until `lost` fires if no word comes from etcd; 0 once it has. */
  leftMs(): number;
  /** Gives it back. What hung on it is gone when this ends. Errors: EtcdError (it then goes when its time is over). */
  release(options?: CallOptions): Promise<void>;
}

/** Keeps any number of leases alive over one stream. */
export interface LeaseKeeper {
  /** Errors: EtcdError (a grant that may have been made goes by itself when its time is over), INTERRUPTED. */
  grant(ttlSeconds: number, options?: CallOptions): Promise<Lease>;
  /** Lets go of all leases without a word to etcd, where they end when their time is over. */
  close(): void;
}

interface KeeperOptions {
  /** Milliseconds of a clock that never goes back; `performance.now` when absent. */
  readonly now?: () => number;
  /** Told each time when the stream broke. The keeper goes on by itself. */
  readonly onInterruption?: (error: unknown) => void;
}

interface Held {
  readonly id: bigint;
  readonly ending: AbortController;
  term: Term;
  lookTimer: NodeJS.Timeout | undefined;
  lostTimer: NodeJS.Timeout | undefined;
}

interface Keeper {
  readonly channel: Channel;
  readonly options: KeeperOptions;
  readonly now: () => number;
  readonly held: Map<bigint, Held>;
  /** Fires when nothing is left to keep. */
  idle: AbortController | null;
  stream: Stream<LeaseKeepAliveRequest, LeaseKeepAliveResponse> | null;
}

/** Nothing is opened before the first grant. */
export function keepLeases(channel: Channel, options: KeeperOptions = {}): LeaseKeeper {
  const now = options.now ?? (() => performance.now());
  const keeper: Keeper = { channel, options, now, held: new Map(), idle: null, stream: null };
  return {
    grant: (ttlSeconds, call = {}) => grant(keeper, ttlSeconds, call),
    close: () => {
      for (const lease of [...keeper.held.values()]) end(keeper, lease, "its keeper was closed");
    },
  };
}

async function grant(keeper: Keeper, ttlSeconds: number, call: CallOptions): Promise<Lease> {
  const askedAt = keeper.now();
  const request = { ttl: BigInt(Math.ceil(ttlSeconds)), id: 0n };
  const { id, ttl } = await keeper.channel.unary(methods.leaseGrant, request, call);
  const term = granted(askedAt, Number(ttl) * 1000);
  const lease: Held = {
    id,
    term,
    ending: new AbortController(),
    lookTimer: undefined,
    lostTimer: undefined,
  };
  keeper.held.set(id, lease);
  watchOver(keeper, lease);
  if (keeper.idle === null) void keep(keeper);
  else lookLater(keeper, lease);
  return {
    id,
    ttlMs: term.ttlMs,
    lost: lease.ending.signal,
    leftMs: () => (lease.ending.signal.aborted ? 0 : Math.max(0, lostAt(lease.term) - keeper.now())),
    release: (options = {}) => release(keeper, lease, options),
  };
}

async function release(keeper: Keeper, lease: Held, options: CallOptions): Promise<void> {
  end(keeper, lease, "it was given back");
  try {
    await keeper.channel.unary(methods.leaseRevoke, { id: lease.id }, options);
  } catch (error) {
    if (error instanceof EtcdError && error.grpc === "NOT_FOUND") return;
    throw error;
  }
}

function end(keeper: Keeper, lease: Held, cause: string): void {
  if (!keeper.held.delete(lease.id)) return;
  clearTimeout(lease.lookTimer);
  clearTimeout(lease.lostTimer);
  if (keeper.held.size === 0) {
    keeper.idle?.abort();
    keeper.idle = null;
  }
  lease.ending.abort(new AtollError("ETCD_LEASE_LOST", { lease: lease.id.toString(16), cause }));
}

/** Ends the lease in time, unless by then it was extended. */
function watchOver(keeper: Keeper, lease: Held): void {
  const left = lostAt(lease.term) - keeper.now();
  if (left <= 0) end(keeper, lease, `etcd did not confirm it for ${lease.term.ttlMs / 1000} s`);
  else lease.lostTimer = setTimeout(() => watchOver(keeper, lease), Math.ceil(left));
}

/** Holds the stream open while there are leases, one after the other where it breaks. */
async function keep(keeper: Keeper): Promise<void> {
  const idle = new AbortController();
  keeper.idle = idle;
  const { signal } = idle;
  for (let tries = 0; !signal.aborted; ) {
    try {
      const stream = await keeper.channel.stream(methods.leaseKeepAlive, { signal });
      if (keeper.idle !== idle) {
        stream.cancel();
        return;
      }
      keeper.stream = stream;
      for (const lease of keeper.held.values()) ask(keeper, lease);
      for await (const answer of stream) {
        tries = 0;
        hear(keeper, answer);
      }
    } catch (error) {
      // Whatever it is: as long as there is time, the next try may go well.
      if (!signal.aborted) keeper.options.onInterruption?.(error);
    }
    // A keeper that has begun anew meanwhile has a stream of its own.
    if (keeper.idle !== idle) return;
    keeper.stream = null;
    for (const lease of keeper.held.values()) lease.term = broken(lease.term);
    tries += 1;
    await pause(pauseMs(tries), "keeping leases", signal).catch(() => {});
  }
}

function ask(keeper: Keeper, lease: Held): void {
  lease.term = asked(lease.term, keeper.now());
  keeper.stream?.send({ id: lease.id });
  lookLater(keeper, lease);
}

function lookLater(keeper: Keeper, lease: Held): void {
  clearTimeout(lease.lookTimer);
  lease.lookTimer = setTimeout(() => {
    // Without a stream there is nothing to look for: all leases are asked for on the next one.
    if (keeper.stream === null) return;
    if (lease.term.unanswered.length > 0) keeper.stream.abandon("no answer to a keepalive");
    else if (isDue(lease.term, keeper.now())) ask(keeper, lease);
    else lookLater(keeper, lease);
  }, lookEveryMs(lease.term));
}

function hear(keeper: Keeper, { id, ttl }: LeaseKeepAliveResponse): void {
  const lease = keeper.held.get(id);
  if (lease === undefined) return;
  const term = answered(lease.term, Number(ttl) * 1000);
  if (term === null) end(keeper, lease, "etcd does not know it");
  else lease.term = term;
}
