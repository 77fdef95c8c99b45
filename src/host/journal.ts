/** The journal: what earlier boots left behind, and why a unit failed. */
import { run } from "../process.ts";
import { parseBootRecord } from "./boot-id.ts";

/** A boot that left something in the journal. */
export interface JournaledBoot {
  /** 0 this boot, -1 the one before. */
  readonly index: number;
  readonly id: string;
  readonly startedAt: string;
}

export interface Journal {
  /** Newest last. */
  boots(signal: AbortSignal): Promise<JournaledBoot[]>;
  /** The kernel command line of a boot; empty when the journal does not hold it. */
  commandLine(boot: string, signal: AbortSignal): Promise<string>;
  /** The worst lines and the last lines of a boot. */
  summary(boot: string, signal: AbortSignal): Promise<string[]>;
  /** The last lines of a unit in this boot. */
  unit(name: string, signal: AbortSignal): Promise<string[]>;
}

/** Lines of one boot or one unit that are worth keeping. */
const worst = 30;
const last = 20;
const ofUnit = 5;

export function journalctl(): Journal {
  const ask = async (args: readonly string[], signal: AbortSignal): Promise<string> => {
    // Exit code 1: no entry matches, or no such boot.
    const options = { step: "reading the journal", signal, accept: [0, 1], env: { LC_ALL: "C", TZ: "UTC" } };
    return (await run(["journalctl", "--no-pager", "--quiet", ...args], options)).stdout;
  };
  return {
    boots: async (signal) => parseBoots(await ask(["--list-boots", "--output=json"], signal)),
    async commandLine(boot, signal) {
      const head = await ask([`--boot=${boot}`, "--output=cat", "--lines=+60", "_TRANSPORT=kernel"], signal);
      return /^Command line: (.*)$/m.exec(head)?.[1] ?? "";
    },
    async summary(boot, signal) {
      const common = [`--boot=${boot}`, "--output=short-monotonic"];
      const bad = await ask([...common, "--priority=warning", `--lines=${worst}`], signal);
      const end = await ask([...common, `--lines=${last}`], signal);
      return mergedLines(bad, end);
    },
    async unit(name, signal) {
      return linesOf(await ask(["--boot=0", "--output=cat", `--lines=${ofUnit}`, `--unit=${name}`], signal));
    },
  };
}

/** The output of `journalctl --list-boots --output=json` (systemd 257); times in microseconds. */
export function parseBoots(json: string): JournaledBoot[] {
  const list: unknown = JSON.parse(json.trim() || "[]");
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown) => {
    if (typeof item !== "object" || item === null) return [];
    if (!("index" in item && "boot_id" in item && "first_entry" in item)) return [];
    const { index, boot_id: id, first_entry: first } = item;
    if (typeof index !== "number" || typeof id !== "string" || typeof first !== "number") return [];
    return [{ index, id, startedAt: new Date(first / 1000).toISOString() }];
  });
}

/** `bad`, then what of `end` is not among them, each line once. */
export function mergedLines(bad: string, end: string): string[] {
  return [...new Set([...linesOf(bad), ...linesOf(end)])];
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}

/** The boots of the trial of `bootId` that `journal` holds, oldest first, with the try that each was. */
export async function boots(
  journal: Journal,
  bootId: string,
  signal: AbortSignal,
): Promise<{ readonly boot: JournaledBoot; readonly attempt: number | null }[]> {
  const found: { readonly boot: JournaledBoot; readonly attempt: number | null }[] = [];
  const earlier = (await journal.boots(signal)).filter((boot) => boot.index < 0);
  for (const boot of earlier.toReversed()) {
    const record = parseBootRecord(await journal.commandLine(boot.id, signal));
    // A fallback that a cut ended before it was remembered. One before the tries was remembered: it ends them.
    if (found.length === 0 && record.kind === "fallback" && record.failedBootId === bootId) continue;
    // The tries of a trial are boots in a row; a try that left no log is no gap in it.
    if (record.bootId !== bootId || record.kind !== "trial") break;
    found.unshift({ boot, attempt: record.attempt });
  }
  return found;
}
