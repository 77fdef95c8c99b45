/**
 * The owner's choices: /etc/atoll/atoll.yaml laid over /usr/lib/atoll/atoll.yaml, key by key.
 * Every key has a default; an unknown key is an error, with its line and column.
 */
import { readFile } from "node:fs/promises";
import { parseDuration } from "../duration.ts";
import { isSystemError } from "../errors.ts";
import type { ConfigFile } from "./config-file.ts";

export interface HostConfig {
  readonly health: {
    /** Milliseconds for the system to come up before that alone is unwell. */
    readonly startLimit: number;
    /** Milliseconds in which a check that failed is tried again, once systemd has come up. */
    readonly grace: number;
    /** Milliseconds for each of greenboot's scripts. */
    readonly scriptLimit: number;
    readonly skip: readonly string[];
    /** Units whose failure is nobody's business; `*` stands for any characters. */
    readonly ignoreUnits: readonly string[];
    /** Percent of each file system that must be free. */
    readonly freePercent: number;
  };
  readonly update: {
    /** Milliseconds between looks for an update; null for never. */
    readonly check: number | null;
    /** Percent of a file system that an update must leave free. */
    readonly reservePercent: number;
    /** Where to fetch from in place of the remote's own address, such as a mirror; signatures are checked as ever. */
    readonly url: string | null;
  };
}

/** The tree's file and the owner's. */
export const configFiles = { vendor: "/usr/lib/atoll/atoll.yaml", owner: "/etc/atoll/atoll.yaml" } as const;

/** Reads both files, the owner's over the vendor's; a missing one says nothing. Errors: CONFIG_INVALID. */
export async function readConfig(files: {
  readonly vendor: string;
  readonly owner: string;
}): Promise<HostConfig> {
  const vendor = await readFileOf(files.vendor);
  return withDefaults(vendor, await readFileOf(files.owner));
}

function withDefaults(vendor: ConfigFile, owner: ConfigFile): HostConfig {
  const health = { ...vendor.health, ...owner.health };
  const update = { ...vendor.update, ...owner.update };
  const check = update.check ?? "6h";
  return {
    health: {
      startLimit: parseDuration(health["start-limit"] ?? "180s"),
      grace: parseDuration(health.grace ?? "60s"),
      scriptLimit: parseDuration(health["script-limit"] ?? "60s"),
      skip: health.skip ?? [],
      ignoreUnits: health["ignore-units"] ?? [],
      freePercent: health["free-percent"] ?? 2,
    },
    update: {
      check: check === "never" ? null : parseDuration(check),
      reservePercent: update["reserve-percent"] ?? 5,
      url: update.url ?? null,
    },
  };
}

async function readFileOf(file: string): Promise<ConfigFile> {
  const text = await textOf(file);
  if (text.trim() === "") return {};
  // Most hosts have no such file, and the parser of YAML is a third of the daemon.
  const { parseConfig } = await import("./config-file.ts");
  return parseConfig(file, text);
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return "";
    throw error;
  }
}
