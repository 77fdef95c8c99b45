import { randomInt } from "node:crypto";

/** Draws numbers from 0 up to, but not including, 1. */
export type Random = () => number;

/**
 * The seed of this run: `ATOLL_TEST_SEED`, to replay a run that failed, or a new one. Tests that draw print it.
 */
export function testSeed(env: NodeJS.ProcessEnv = process.env): number {
  const given = env.ATOLL_TEST_SEED;
  if (given === undefined || given === "") return randomInt(2 ** 32);
  const seed = Number(given);
  if (!Number.isSafeInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new RangeError(`ATOLL_TEST_SEED is "${given}", not a whole number below 2^32`);
  }
  return seed;
}

/**
 * A generator that gives the same numbers for the same seed and name everywhere (mulberry32 over an FNV-1a hash).
 * A name of its own for each purpose keeps one purpose's draws from moving another's.
 */
export function seededRandom(seed: number, name: string): Random {
  let state = seed >>> 0;
  for (const char of Buffer.from(name)) state = Math.imul(state ^ char, 0x01000193) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
