import { setTimeout as after } from "node:timers/promises";

/** Time, so that tests need not wait. */
export interface Clock {
  now(): Date;
  /** Ends after `ms`, or rejects when `signal` fires. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export function systemClock(): Clock {
  return {
    now: () => new Date(),
    sleep: (ms, signal) => after(ms, undefined, { signal }),
  };
}
