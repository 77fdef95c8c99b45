/** Lengths of time as people write them. */

/** What `parseDuration` takes, as a regular expression. */
export const durationPattern = "^[0-9]+(s|min|h|d)$";

/** `90s`, `5min`, `6h`, `1d` in milliseconds; `text` is as `durationPattern` says. */
export function parseDuration(text: string): number {
  const [, count = "0", unit = "s"] = /^(\d+)(s|min|h|d)$/.exec(text) ?? [];
  const seconds: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3600, d: 86_400 };
  return Number(count) * (seconds[unit] ?? 1) * 1000;
}
