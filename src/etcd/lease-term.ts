/** For how long a lease is ours: what was asked and what was answered, and nothing else. Times are milliseconds of a clock that never goes back. */
export interface Term {
  readonly ttlMs: number;
  /** Until then etcd cannot have given it away: when the last request that it answered was sent, and the lease's time. */
  readonly heldUntil: number;
  /** When each request was sent that has no answer yet, oldest first. */
  readonly unanswered: readonly number[];
}

/** etcd granted it: the lease runs from some moment after it was asked for. */
export function granted(askedAt: number, ttlMs: number): Term {
  return { ttlMs, heldUntil: askedAt + ttlMs, unanswered: [] };
}

export function asked(term: Term, now: number): Term {
  return { ...term, unanswered: [...term.unanswered, now] };
}

/** etcd answers in the order of the requests. A time of zero means that there is no such lease any more: null. */
export function answered(term: Term, ttlMs: number): Term | null {
  if (ttlMs <= 0) return null;
  const [sentAt, ...unanswered] = term.unanswered;
  // An answer to nothing that we know of proves nothing about when.
  if (sentAt === undefined) return term;
  return { ttlMs, heldUntil: Math.max(term.heldUntil, sentAt + ttlMs), unanswered };
}

/** The stream broke: what was asked on it is not answered any more. */
export function broken(term: Term): Term {
  return { ...term, unanswered: [] };
}

/** Who holds it must stop acting on it by then: a tenth of its time before etcd may give it away. */
export function lostAt(term: Term): number {
  return term.heldUntil - term.ttlMs / 10;
}

/** An answer that is not there when one looks again is none: the stream is silent. Half a second is a slow answer. */
export function lookEveryMs(term: Term): number {
  return Math.max(term.ttlMs / 6, 500);
}

/** Asked for at every second look, each third of its time: two answers may be lost before the lease is. */
export function isDue(term: Term, now: number): boolean {
  const confirmedAt = term.heldUntil - term.ttlMs;
  return now - confirmedAt >= term.ttlMs / 4;
}
