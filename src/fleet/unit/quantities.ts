/** Amounts of CPU and memory, as [X-Atoll], systemd and Podman write them. */

/** `500m` or `0.5` in thousandths of a core; null when it is neither, or nothing. */
export function parseCpu(text: string): number | null {
  const thousandths = /^(\d{1,9})m$/.exec(text);
  if (thousandths) return positive(Number(thousandths[1]));
  return /^\d{1,6}(\.\d+)?$/.test(text) ? positive(Math.round(Number(text) * 1000)) : null;
}

/** `50%` of one core, as CPUQuota= has it, in thousandths of a core. */
export function parseCpuQuota(text: string): number | null {
  const percent = /^(\d{1,7}(?:\.\d{1,2})?)%$/.exec(text);
  return percent === null ? null : positive(Math.round(Number(percent[1]) * 10));
}

const units = ["", "K", "M", "G", "T", "P", "E"];

/**
 * `256M`, `1.5G`, `1G 512M`: bytes by systemd's rules, with base 1024, the largest unit first. Null when it is no
 * amount, is nothing, or is more than counts exactly.
 */
export function parseMemory(text: string): number | null {
  const part = /\s*(\d{1,15}(?:\.\d{1,15})?)\s*([KMGTPE]?)B?/y;
  let bytes = 0;
  let largest = units.length;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    const power = units.indexOf(match?.[2] ?? "");
    if (match === null || power >= largest) return null;
    largest = power;
    bytes += Math.floor(Number(match[1]) * 1024 ** power);
  }
  return Number.isSafeInteger(bytes) ? positive(bytes) : null;
}

/** `512m`, `1g`, `1gb`: bytes as Podman's --memory has them, also with base 1024. */
export function parsePodmanMemory(text: string): number | null {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([bkmgtp]?)(?:ib|b)?$/i.exec(text);
  if (match === null) return null;
  const power = Math.max("bkmgtp".indexOf((match[2] || "b").toLowerCase()), 0);
  const bytes = Math.floor(Number(match[1]) * 1024 ** power);
  return Number.isSafeInteger(bytes) ? positive(bytes) : null;
}

function positive(amount: number): number | null {
  return amount > 0 ? amount : null;
}
