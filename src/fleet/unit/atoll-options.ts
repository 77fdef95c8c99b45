/** [X-Atoll]: what a unit asks of its machine beyond fleet; and what it asks of other units, in [Unit]. */
import type { PlacementRules, Resources } from "../model.ts";
import { isQuadlet, isUnitName, replaceSpecifiers, type UnitName } from "./names.ts";
import { type Options, type PlacedWord, wordsOf } from "./options.ts";
import { type OptionEntry, placeInValue } from "./parse.ts";
import { type Problem, problem } from "./problem.ts";
import { needsOf, quadletSection } from "./quadlet.ts";
import { parseCpu, parseCpuQuota, parseMemory, parsePodmanMemory } from "./quantities.ts";
import { splitWords } from "./words.ts";

export const atollSection = "X-Atoll";

export const atollKeys = [
  "CPURequest",
  "MemoryRequest",
  "Priority",
  "Preempt",
  "Affinity",
  "Spread",
  "WhenIsolated",
  "DataOf",
] as const;

type AtollKey = (typeof atollKeys)[number];

/** The weight of a preference that names none; weights go from 1 to 100. */
export const defaultWeight = 50;

/** Priorities go from minus this to this. */
export const highestPriority = 1000;

export type AtollRules = Omit<
  PlacementRules,
  "global" | "machineId" | "machineOf" | "metadata" | "conflicts" | "replaces"
>;

/**
 * Reads [X-Atoll] and, in the other sections, what it defaults to. `service` is the name of the unit that systemd has
 * for `name`: in sections other than ours specifiers mean that one. What is wrong goes to `problems`.
 */
export function readAtollOptions(
  name: UnitName,
  service: UnitName,
  options: Options,
  problems: Problem[],
): AtollRules {
  const reader = new Reader(name, service, options, problems);
  return {
    requests: { cpu: cpuRequest(reader), memory: memoryRequest(reader) },
    priority: reader.single("Priority", parsePriority, "a whole number from -1000 to 1000") ?? 0,
    preempts: reader.single("Preempt", parseBoolean, "yes or no") ?? false,
    affinity: reader.words(
      "Affinity",
      parseAffinity,
      "KEY=VALUE or KEY=VALUE:WEIGHT with a weight from -100 to 100, not 0",
    ),
    spread: reader.words("Spread", parseSpread, "KEY or KEY:WEIGHT with a weight from 1 to 100"),
    whenIsolated: reader.single("WhenIsolated", parseWhenIsolated, "keep or stop"),
    volumes: volumesOf(reader),
    after: reader.units("After"),
    requires: reader.units("Requires"),
    bindsTo: reader.units("BindsTo"),
  };
}

/** Reads options of one unit; specifiers are replaced in all it gives. */
class Reader {
  readonly name: UnitName;
  readonly service: UnitName;
  readonly options: Options;
  readonly problems: Problem[];

  constructor(name: UnitName, service: UnitName, options: Options, problems: Problem[]) {
    this.name = name;
    this.service = service;
    this.options = options;
    this.problems = problems;
  }

  /** The value of an option of [X-Atoll] by `parse`; null when it is not there or, with a problem, not valid. */
  single<T>(key: AtollKey, parse: (text: string) => T | null, wanted: string): T | null {
    const option = this.options.single(atollSection, key);
    if (option === null) return null;
    const parsed = parse(replaceSpecifiers(option.value, this.name));
    if (parsed === null) this.invalid(option, option.value, placeInValue(option, 0), wanted);
    return parsed;
  }

  /** The words of a list of [X-Atoll] by `parse`, without those that are not valid. */
  words<T>(key: AtollKey, parse: (text: string) => T | null, wanted: string): T[] {
    return this.options.list(atollSection, key).flatMap((option) =>
      wordsOf(option, this.problems).flatMap(({ text, place }) => {
        const parsed = parse(replaceSpecifiers(text, this.name));
        if (parsed === null) this.invalid(option, text, place, wanted);
        return parsed === null ? [] : [parsed];
      }),
    );
  }

  /** Each unit that a dependency of [Unit] names, once. */
  units(key: string): string[] {
    const words = this.options
      .list("Unit", key)
      .flatMap((option) => wordsOf(option, this.problems, { keepEscapes: true }));
    const names = words.map(({ text }) => replaceSpecifiers(text, this.service));
    return [...new Set(names)].filter(isUnitName);
  }

  private invalid(option: OptionEntry, value: string, place: PlacedWord["place"], wanted: string): void {
    const parameters = { section: option.section, key: option.name, value, problem: `it takes ${wanted}` };
    this.problems.push(problem("error", "UNIT_VALUE_INVALID", place, parameters));
  }
}

/** What the unit asks for; else what it can use at most: its CPUQuota=, or what Podman is told. */
function cpuRequest(reader: Reader): Resources["cpu"] {
  const wanted = "cores (0.5) or thousandths of a core (500m)";
  const asked = reader.single("CPURequest", parseCpu, wanted);
  if (asked !== null) return asked;
  const quota = parseCpuQuota(reader.options.single("Service", "CPUQuota")?.value ?? "");
  return leastOf([quota, podmanArgument(reader, ["--cpus"], parseCpu)]);
}

/** The least of what limits it: a unit is throttled at MemoryHigh= and killed at MemoryMax=. Shares of a machine count not. */
function memoryRequest(reader: Reader): Resources["memory"] {
  const asked = reader.single(
    "MemoryRequest",
    parseMemory,
    "bytes, or an amount such as 256M or 1.5G with base 1024",
  );
  if (asked !== null) return asked;
  const { name, options } = reader;
  const limits = ["MemoryMax", "MemoryHigh"].map((key) =>
    parseMemory(options.single("Service", key)?.value ?? ""),
  );
  const section = isQuadlet(name.type) ? quadletSection(name.type) : "";
  const container = parsePodmanMemory(options.single(section, "Memory")?.value ?? "");
  return leastOf([...limits, container, podmanArgument(reader, ["--memory", "-m"], parsePodmanMemory)]);
}

/** The last value of an option in PodmanArgs=, written `--name=value` or as two words. */
function podmanArgument<T>(
  { name, options }: Reader,
  flags: readonly string[],
  parse: (text: string) => T | null,
): T | null {
  if (!isQuadlet(name.type)) return null;
  const words = options
    .list(quadletSection(name.type), "PodmanArgs")
    .flatMap((option) => splitWords(option.value).words)
    .map(({ text }) => text);
  const values = words.flatMap((word, index) =>
    flags.flatMap((flag) => {
      if (word === flag) return [words[index + 1] ?? ""];
      return word.startsWith(`${flag}=`) ? [word.slice(flag.length + 1)] : [];
    }),
  );
  return parse(values.at(-1) ?? "");
}

function leastOf(amounts: readonly (number | null)[]): number {
  const known = amounts.filter((amount) => amount !== null);
  return known.length === 0 ? 0 : Math.min(...known);
}

/** DataOf= and the named volumes of the container. A name that only the machine can work out ties to none. */
function volumesOf(reader: Reader): string[] {
  const wanted = "names of volumes: letters, digits, `_`, `.` and `-`, with a letter or digit first";
  const named = reader.words(
    "DataOf",
    (text) => (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text) ? text : null),
    wanted,
  );
  const mounted = needsOf(reader.name, reader.options).volumes.flatMap(({ text, place }) => {
    const volume = replaceSpecifiers(text, reader.service);
    if (!volume.includes("%")) return [volume];
    const reason = "its name depends on the machine, so it ties the unit to none";
    reader.problems.push(
      problem("warning", "UNIT_VALUE_IGNORED", place, { key: "Volume", value: text, reason }),
    );
    return [];
  });
  return [...new Set([...mounted, ...named])];
}

function parsePriority(text: string): number | null {
  const value = /^[+-]?\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  // A sum with 0 makes 0 of -0.
  return Math.abs(value) <= highestPriority ? value + 0 : null;
}

/** systemd's parse_boolean(). */
function parseBoolean(text: string): boolean | null {
  if (/^(1|yes|y|true|t|on)$/i.test(text)) return true;
  return /^(0|no|n|false|f|off)$/i.test(text) ? false : null;
}

function parseWhenIsolated(text: string): "keep" | "stop" | null {
  return text === "keep" || text === "stop" ? text : null;
}

function parseAffinity(text: string): { key: string; value: string; weight: number } | null {
  const match = /^([^=:\s]+)=(.*?)(?::([+-]?\d{1,4}))?$/.exec(text);
  const [, key = "", value = "", written] = match ?? [];
  const weight = written === undefined ? defaultWeight : Number(written);
  if (match === null || value === "" || weight === 0 || Math.abs(weight) > 100) return null;
  return { key, value, weight };
}

function parseSpread(text: string): { key: string; weight: number } | null {
  const match = /^([^=:\s]+)(?::\+?(\d{1,4}))?$/.exec(text);
  const weight = match?.[2] === undefined ? defaultWeight : Number(match[2]);
  return match === null || weight < 1 || weight > 100 ? null : { key: match[1] ?? "", weight };
}
