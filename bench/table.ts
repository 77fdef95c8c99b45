/** A table in Markdown: numbers to the right, words to the left, as the first row has them. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = head.map((_, column) => /^[\d–<]/.test(rows[0]?.[column] ?? ""));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = `|${right.map((toRight) => (toRight ? "---:" : "---")).join("|")}|`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

/** Bytes in MB or, when small, kB: powers of ten, three digits that count. */
export function bytes(count: number): string {
  return count >= 999_500 ? `${threeDigits(count / 1e6)} MB` : `${threeDigits(count / 1e3)} kB`;
}

/** Seconds with three digits that count, in milliseconds below one second. */
export function seconds(count: number): string {
  return count < 0.9995 ? `${Math.round(count * 1000)} ms` : `${threeDigits(count)} s`;
}

/** `part` of `whole` as a percentage, with two digits that count below ten. */
export function percent(part: number, whole: number): string {
  const share = (100 * part) / whole;
  return `${share < 9.95 ? share.toFixed(1) : Math.round(share)} %`;
}

function threeDigits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}
