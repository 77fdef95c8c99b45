import { compareDebianVersions } from "../debian-version.ts";
import { AtollError } from "../errors.ts";

/**
 * The version of a new tree. `given` by the treefile or the user is taken when it is newer than all in `used`; without
 * it: `YYYYMMDD.N`, the day in UTC of `timestamp` (seconds since 1970), N counting up from 1, always newer than `used`.
 * Errors: VERSION_NOT_NEWER.
 */
export function nextVersion(given: string | null, used: readonly string[], timestamp: number): string {
  const newest = used.toSorted(compareDebianVersions).at(-1) ?? null;
  if (given !== null) {
    if (newest !== null && compareDebianVersions(given, newest) <= 0) {
      throw new AtollError("VERSION_NOT_NEWER", { version: given, newest });
    }
    return given;
  }
  const day = new Date(timestamp * 1000).toISOString().slice(0, 10).replaceAll("-", "");
  const first = `${day}.1`;
  if (newest === null || compareDebianVersions(first, newest) > 0) return first;
  const counted = /^(.*\.)(\d+)$/.exec(newest);
  // The newest is from a later day, or was given by hand: what follows it counts on from there.
  return counted ? `${counted[1]}${Number(counted[2]) + 1}` : `${newest}.1`;
}
