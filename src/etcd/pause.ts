import { setTimeout as after } from "node:timers/promises";
import { AtollError } from "../errors.ts";

const shortestMs = 50;
const longestMs = 1000;

/** Milliseconds before try number `tries` (from 1): doubling from 50 to 1,000, half of it by chance so that many clients spread. */
export function pauseMs(tries: number, random: number = Math.random()): number {
  const full = Math.min(longestMs, shortestMs * 2 ** Math.min(tries - 1, 10));
  return full / 2 + (full / 2) * random;
}

/** Waits `ms`. Errors: INTERRUPTED, naming `step`, when `signal` fires. */
export async function pause(ms: number, step: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await after(ms, undefined, signal && { signal });
  } catch (error) {
    throw new AtollError("INTERRUPTED", { step }, error);
  }
}
