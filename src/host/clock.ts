import { uptime } from "node:os";
import { setTimeout as after } from "node:timers/promises";

/** Time, so that tests need not wait. */
export interface Clock {
  now(): Date;
  /** Milliseconds since the kernel started, for durations: nobody sets this one. */
  uptime(): number;
  /** Ends after `ms`, or rejects when `signal` fires. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Fires after `ms`. */
  limit(ms: number): AbortSignal;
}

/** Node.js ends a longer timer at once. Who sleeps for more than 24 days wakes early, and looks. */
const longestTimer = 2 ** 31 - 1;

export function systemClock(): Clock {
  return {
    now: () => new Date(),
    uptime: () => uptime() * 1000,
    sleep: (ms, signal) => after(Math.min(ms, longestTimer), undefined, { signal }),
    limit: (ms) => AbortSignal.timeout(Math.min(ms, longestTimer)),
  };
}

/** Something that was asked did not answer in time. */
export class NoAnswer extends Error {
  constructor(ms: number) {
    super(`no answer in ${Math.round(ms / 1000)} s`);
  }
}

/**
 * What `work` gives, waited for no longer than `ms`: also where it does not listen to its signal, as a program that
 * hangs in the kernel does not. Rejects with NoAnswer then, and with the reason of `signal` when that fires.
 */
export async function inTime<T>(
  clock: Clock,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const limit = clock.limit(ms);
  const either = AbortSignal.any([signal, limit]);
  return unlessAborted(work(either), either, () => (signal.aborted ? signal.reason : new NoAnswer(ms)));
}

/** What `promise` gives, unless `signal` fires first: then it rejects with what `why` gives. */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  why: () => unknown,
): Promise<T> {
  const gone = Promise.withResolvers<never>();
  const giveUp = (): void => gone.reject(why());
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    return await Promise.race([promise, gone.promise]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
