import type { Clock } from "./clock.ts";
import type { HistoryEntry, HistoryKind } from "./model.ts";

type Details = Partial<Omit<HistoryEntry, "at" | "kind" | "summary">>;

/** A line for the history, now. */
export function entry(clock: Clock, kind: HistoryKind, summary: string, details: Details = {}): HistoryEntry {
  return {
    at: clock.now().toISOString(),
    kind,
    summary,
    checksum: details.checksum ?? null,
    version: details.version ?? null,
    bootId: details.bootId ?? null,
    reasons: details.reasons ?? [],
    conflicts: details.conflicts ?? [],
    kernelArguments: details.kernelArguments ?? null,
  };
}
