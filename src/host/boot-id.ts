/** Boot ids and the kernel command line, by the boot contract in docs/architecture.md. */
import { createHash } from "node:crypto";
import type { BootKind } from "./model.ts";

/** The words of an `options` line that the owner of the machine decides: all but `ostree=…`. */
export function ownedArguments(options: string): string[] {
  return options.split(/\s+/).filter((word) => word !== "" && !word.startsWith("ostree="));
}

/** First 12 hex digits of SHA-256 over the arguments, joined by single spaces. */
export function argumentsHash(kernelArguments: readonly string[]): string {
  return createHash("sha256").update(kernelArguments.join(" ")).digest("hex").slice(0, 12);
}

/** What GRUB works out for a deployment when it starts; a change of tree or arguments is another id. */
export function bootIdOf(treeId: string, kernelArguments: readonly string[]): string {
  return `${treeId}-${argumentsHash(kernelArguments)}`;
}

/** The tree id in the text of /usr/lib/atoll/boot-id.cfg; null when there is none. */
export function parseTreeId(config: string): string | null {
  return /^set atoll_tree="([0-9a-f]{16})"$/m.exec(config)?.[1] ?? null;
}

/** How this boot came about. */
export interface BootRecord {
  readonly kind: BootKind;
  readonly bootId: string | null;
  /** 1 to 3 on trial, else null. */
  readonly attempt: number | null;
  readonly failedBootId: string | null;
}

/** Reads what GRUB appended to the kernel command line. */
export function parseBootRecord(commandLine: string): BootRecord {
  const words = commandLine.trim().split(/\s+/);
  // GRUB appends: the last word of a key is GRUB's, whatever somebody wrote before it.
  const value = (key: string): string | null =>
    words.findLast((word) => word.startsWith(`${key}=`))?.slice(key.length + 1) || null;
  const boot = value("atoll.boot");
  const bootId = value("atoll.id");
  const attempt = /^trial-([1-3])$/.exec(boot ?? "")?.[1];
  if (bootId === null || boot === null) return unmanaged;
  if (attempt !== undefined) return { kind: "trial", bootId, attempt: Number(attempt), failedBootId: null };
  if (boot === "fallback")
    return { kind: "fallback", bootId, attempt: null, failedBootId: value("atoll.failed") };
  if (boot === "good" || boot === "chosen") return { kind: boot, bootId, attempt: null, failedBootId: null };
  return unmanaged;
}

const unmanaged: BootRecord = { kind: "unmanaged", bootId: null, attempt: null, failedBootId: null };
