import { setTimeout as after } from "node:timers/promises";

/** Time, so that tests need not wait. */
export interface Clock {
  now(): Date;
  /** Ends after `ms`, or rejects when `signal` fires. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Node.js ends a longer timer at once. Who sleeps for more than 24 days wakes early, and looks. */
const longestTimer = 2 ** 31 - 1;

export function systemClock(): Clock {
  return {
    now: () => new Date(),
    sleep: (ms, signal) => after(Math.min(ms, longestTimer), undefined, { signal }),
  };
}
