/**
 * What the host remembers, in /var/lib/atoll between boots and in /run/atoll within one: one JSON file for each thing,
 * replaced whole, and the history, to which lines are added. A power cut leaves each as it was or as it was to be.
 */
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Static, type TSchema, Type } from "typebox";
import Value from "typebox/value";
import { isSystemError } from "../errors.ts";
import type { Log } from "./log.ts";
import type { BadTree, HistoryEntry, UpdateAvailable } from "./model.ts";
import {
  badTreeSchema,
  failedBootSchema,
  healthReportSchema,
  historyEntrySchema,
  updateAvailableSchema,
  verdictSchema,
} from "./schemas.ts";

/** How the machine was when it last was well: what a changed one must not fall behind. */
const baselineSchema = Type.Object({
  at: Type.String(),
  bootId: Type.Union([Type.String(), Type.Null()]),
  failedUnits: Type.Array(Type.String()),
  /** Of what too little was left: `space on /var`. */
  lacks: Type.Array(Type.String()),
  /** An address of global scope and a default route. */
  network: Type.Boolean(),
  containers: Type.Array(
    Type.Object({ unit: Type.String(), source: Type.String(), healthy: Type.Boolean() }),
  ),
});

/** A change that was staged and has not been seen through yet. */
const intentSchema = Type.Object({
  checksum: Type.String(),
  version: Type.Union([Type.String(), Type.Null()]),
  origin: Type.String(),
  kernelArguments: Type.Array(Type.String()),
  /** The boot in which it was staged. */
  boot: Type.String(),
  /** How often it was staged again because it was lost. */
  lost: Type.Optional(Type.Number()),
});

/** The tries of the boot id on trial that ended with an unwell verdict. */
const attemptsSchema = Type.Object({ bootId: Type.String(), boots: Type.Array(failedBootSchema) });

/** The operation that runs; found at start, it was interrupted. */
const markerSchema = Type.Object({ id: Type.String(), verb: Type.String(), startedAt: Type.String() });

/** What this boot's judge found: so that a restart of the daemon does not judge twice. */
const judgementSchema = Type.Object({ verdict: verdictSchema, report: healthReportSchema });

type Frozen<T> = T extends (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

/** A value that a schema describes, not to be changed in place. */
type Kept<S extends TSchema> = Frozen<Static<S>>;

export type Baseline = Kept<typeof baselineSchema>;
export type Intent = Kept<typeof intentSchema>;
export type Attempts = Kept<typeof attemptsSchema>;
export type Judgement = Kept<typeof judgementSchema>;
export type Marker = Kept<typeof markerSchema>;

/** One remembered thing. */
export interface Slot<T> {
  /** Null when nothing is remembered, or what is there cannot be read (which is logged). */
  read(): Promise<T | null>;
  write(value: T): Promise<void>;
  clear(): Promise<void>;
}

export interface Store {
  readonly baseline: Slot<Baseline>;
  readonly intent: Slot<Intent>;
  readonly attempts: Slot<Attempts>;
  readonly marker: Slot<Marker>;
  readonly judgement: Slot<Judgement>;
  /** Whether this boot is in the history. */
  readonly told: Slot<boolean>;
  readonly update: Slot<UpdateAvailable>;
  readonly bad: Slot<readonly BadTree[]>;
  readonly history: History;
}

export interface History {
  /** The newest `limit` entries, newest first. */
  read(limit: number): Promise<HistoryEntry[]>;
  add(entry: HistoryEntry): Promise<void>;
}

/** `directory` outlives a boot, `run` does not. */
export function openStore(directory: string, run: string, log: Log): Store {
  const slot = <S extends TSchema>(name: string, schema: S): Slot<Kept<S>> =>
    fileSlot(join(directory, `${name}.json`), schema, log);
  return {
    baseline: slot("baseline", baselineSchema),
    intent: slot("intent", intentSchema),
    attempts: slot("attempts", attemptsSchema),
    marker: slot("operation", markerSchema),
    judgement: fileSlot(join(run, "judgement.json"), judgementSchema, log),
    told: fileSlot(join(run, "told.json"), Type.Boolean(), log),
    update: slot("update", updateAvailableSchema),
    bad: slot("bad", Type.Array(badTreeSchema)),
    history: fileHistory(join(directory, "history.jsonl"), log),
  };
}

/** Replaces the file at `path` by `text`: the old one or the new one after a power cut, nothing between. */
export async function replaceFile(path: string, text: string, mode = 0o600): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function fileSlot<S extends TSchema>(path: string, schema: S, log: Log): Slot<Kept<S>> {
  return {
    async read() {
      const text = await textOf(path);
      if (text === null) return null;
      const value = parsed(text);
      if (Value.Check(schema, value)) return value;
      log.warning(`${path} is damaged or from another version, and is ignored`);
      return null;
    },
    write: (value) => replaceFile(path, `${JSON.stringify(value)}\n`),
    async clear() {
      try {
        await rm(path);
      } catch (error) {
        if (isSystemError(error, "ENOENT")) return;
        throw error;
      }
      // Else a power cut soon after brings it back.
      await syncDirectory(dirname(path));
    },
  };
}

/** Lines kept when the history is shortened, and the number from which it is. */
const historyKept = 1000;
const historyLongest = 1200;

function fileHistory(path: string, log: Log): History {
  const lines = async (): Promise<string[]> =>
    (await textOf(path))?.split("\n").filter((line) => line !== "") ?? [];
  return {
    async read(limit) {
      const entries = (await lines()).map(parsed).filter((value) => Value.Check(historyEntrySchema, value));
      return entries.slice(-limit).reverse();
    },
    async add(entry) {
      log.info(entry.summary);
      const before = await lines();
      if (before.length >= historyLongest)
        await replaceFile(path, `${before.slice(-historyKept).join("\n")}\n`);
      await mkdir(dirname(path), { recursive: true });
      const file = await open(path, "a", 0o600);
      try {
        // A line that a power cut tore must not swallow this one: begin on a line of our own.
        await file.appendFile(`\n${JSON.stringify(entry)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return null;
    throw error;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
