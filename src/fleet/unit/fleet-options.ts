/**
 * [X-Fleet], with fleet's own meaning (coreos/fleet, job/job.go, api/units.go, unit/file.go): what fleet took is taken,
 * and what it refused is refused in its words. What can never be met or has no effect is told of in a warning.
 */
import type { PlacementRules } from "../model.ts";
import { globMistake, matchesGlob } from "./glob.ts";
import { isUnitName, replaceSpecifiers, type UnitName } from "./names.ts";
import type { Options } from "./options.ts";
import { type OptionEntry, placeInValue } from "./parse.ts";
import { addTo, type Place, type Problem, problem, quoted } from "./problem.ts";

export const fleetSection = "X-Fleet";

/** What fleet read, in the order in which it looked for them: the names of today and what they were called before. */
const spellings = {
  MachineID: ["MachineID", "X-ConditionMachineID", "X-ConditionMachineBootID"],
  MachineOf: ["X-ConditionMachineOf", "MachineOf"],
  MachineMetadata: ["X-ConditionMachineMetadata", "MachineMetadata"],
  Conflicts: ["X-Conflicts", "Conflicts"],
  Replaces: ["Replaces"],
  Global: ["Global"],
} as const;

type FleetKey = keyof typeof spellings;

/** For each old name the one of today. */
export const deprecatedFleetKeys: ReadonlyMap<string, string> = new Map(
  Object.entries(spellings).flatMap(([key, names]) =>
    names.filter((name) => name !== key).map((name): [string, string] => [name, key]),
  ),
);

export const fleetKeys: readonly string[] = Object.keys(spellings);

export type FleetRules = Pick<
  PlacementRules,
  "global" | "machineId" | "machineOf" | "metadata" | "conflicts" | "replaces"
>;

/** One value of an option, specifiers replaced. */
interface Value {
  readonly text: string;
  readonly key: string;
  readonly place: Place;
}

/** Reads [X-Fleet]; what is wrong goes to `problems`, the first of them being the one that fleet would have told. */
export function readFleetOptions(name: UnitName, options: Options, problems: Problem[]): FleetRules {
  const valuesOf = (key: FleetKey): Value[] =>
    spellings[key].flatMap((spelling) =>
      inEffect(options.assignments(fleetSection, spelling), name).flatMap((option) => valuesIn(option, name)),
    );
  const read: Readonly<Record<FleetKey, readonly Value[]>> = {
    MachineID: valuesOf("MachineID"),
    MachineOf: valuesOf("MachineOf"),
    MachineMetadata: valuesOf("MachineMetadata"),
    Conflicts: valuesOf("Conflicts").flatMap(fieldsOf),
    Replaces: valuesOf("Replaces"),
    Global: valuesOf("Global"),
  };
  const global = isTruthy(read.Global.at(-1)?.text ?? "");
  const excess = tooMany(read);
  addTo(problems, excess.length > 0 ? excess : [...peersInTheWay(read), ...exclusions(read, global)]);
  addTo(problems, [
    ...machineIdWarnings(read),
    ...peerWarnings(read.MachineOf),
    ...globWarnings(read),
    ...globalWarnings(read),
  ]);
  return {
    global,
    machineId: read.MachineID[0]?.text ?? null,
    machineOf: textsOf(read.MachineOf),
    metadata: metadataOf(read.MachineMetadata, problems),
    conflicts: textsOf(read.Conflicts),
    replaces: textsOf(read.Replaces),
  };
}

/**
 * fleet knew neither drop-ins nor taking back. So an empty assignment in the unit's own file stays what it was to fleet,
 * a value; in a drop-in it takes back all before it, as everywhere in systemd.
 */
function inEffect(assignments: readonly OptionEntry[], name: UnitName): readonly OptionEntry[] {
  const reset = assignments.findLastIndex(({ value, file }) => value === "" && file !== name.full);
  return assignments.slice(reset + 1);
}

/**
 * fleet's own quoting, which is not systemd's: a value that begins and ends with `"` is a list, cut at blanks outside of
 * quotes; any other is one value, blanks and quotes in it included.
 */
function valuesIn(option: OptionEntry, name: UnitName): Value[] {
  const { value, name: key } = option;
  const valueAt = (text: string, offset: number): Value => ({
    text: replaceSpecifiers(text, name),
    key,
    place: placeInValue(option, offset),
  });
  if (!value.startsWith('"') || !value.endsWith('"')) return [valueAt(value, 0)];
  const values: Value[] = [];
  let [text, start, isQuoted] = ["", 0, false];
  for (let at = 0; at < value.length; at += 1) {
    const character = value.charAt(at);
    if (character === '"') isQuoted = !isQuoted;
    else if (character !== " " || isQuoted) text += character;
    else {
      values.push(valueAt(text, start));
      [text, start] = ["", at + 1];
    }
  }
  values.push(valueAt(text, start));
  // Blanks that follow each other gave fleet empty values, which could only do harm.
  return values.filter((candidate) => candidate.text !== "" || values.length === 1);
}

/** Conflicts= alone takes a list without quotes. */
function fieldsOf(value: Value): Value[] {
  return Array.from(value.text.matchAll(/\S+/g), ({ 0: text }) => ({ ...value, text }));
}

function textsOf(values: readonly Value[]): string[] {
  return values.map(({ text }) => text);
}

function isTruthy(value: string): boolean {
  return ["true", "yes", "1", "on", "t"].includes(value.toLowerCase());
}

type Read = Readonly<Record<FleetKey, readonly Value[]>>;

/** Each peer is held against each pattern, and each unit's patterns against every other unit: there must be an end. */
const mostValues = 1000;

function tooMany(read: Read): Problem[] {
  return Object.values(read).flatMap(({ [mostValues]: first }) =>
    first === undefined
      ? []
      : [problem("error", "UNIT_TOO_MANY", first.place, { key: first.key, limit: mostValues })],
  );
}

function peersInTheWay({ MachineOf, Conflicts, Replaces }: Read): Problem[] {
  const ways = [
    ...Conflicts.map((value) => ["conflict", value] as const),
    ...Replaces.map((value) => ["replace", value] as const),
  ];
  return MachineOf.flatMap((peer) =>
    ways
      .filter(([, { text }]) => matchesGlob(text, peer.text))
      .map(([kind, { text, place }]) => {
        const parameters = { peer: quoted(peer.text), kind, pattern: quoted(text) };
        return problem("error", "UNIT_UNRESOLVABLE", place, parameters);
      }),
  );
}

/** In fleet's order, which told only of the first; with its word for MachineOf=, too. */
function exclusions(read: Read, global: boolean): Problem[] {
  const [machineId] = read.MachineID;
  const [peers] = read.MachineOf;
  const [conflicts] = read.Conflicts;
  const [replaces] = read.Replaces;
  const globalValue = global ? read.Global.at(-1) : undefined;
  const pairs = [
    ["MachineID", machineId, "Peers", peers],
    ["MachineID", machineId, "Conflicts", conflicts],
    ["MachineID", machineId, "Global", globalValue],
    ["MachineID", machineId, "Replaces", replaces],
    ["Global", globalValue, "Peers", peers],
    ["Global", globalValue, "Replaces", replaces],
    ["Conflicts", conflicts, "Replaces", replaces],
  ] as const;
  return pairs.flatMap(([first, one, second, other]) => {
    if (one === undefined || other === undefined) return [];
    const parameters = { first, second, firstKey: one.key, secondKey: other.key };
    return [problem("error", "UNIT_OPTIONS_EXCLUSIVE", other.place, parameters)];
  });
}

function unmet({ key, text, place }: Value, reason: string): Problem {
  return problem("warning", "UNIT_VALUE_UNMET", place, { key, value: text, reason });
}

function ineffective({ key, text, place }: Value, reason: string): Problem {
  return problem("warning", "UNIT_VALUE_IGNORED", place, { key, value: text, reason });
}

function machineIdWarnings({ MachineID: [first, ...others] }: Read): Problem[] {
  if (first === undefined) return [];
  const isId = /^([0-9a-f]{8}|[0-9a-f]{32})$/.test(first.text);
  return [
    ...(isId ? [] : [unmet(first, "a machine id has 32 characters of 0-9 and a-f; its first 8 are enough")]),
    ...others.map((value) => ineffective(value, `the first machine id counts, ${first.text}`)),
  ];
}

function peerWarnings(peers: readonly Value[]): Problem[] {
  return peers
    .filter(({ text }) => !isUnitName(text))
    .map((peer) =>
      unmet(peer, "it takes the whole name of one unit; for several write the option several times"),
    );
}

function globWarnings({ Conflicts, Replaces }: Read): Problem[] {
  return [...Conflicts, ...Replaces].flatMap((value) => {
    const mistake = globMistake(value.text);
    if (mistake !== null) return [ineffective(value, `the pattern matches nothing: ${mistake}`)];
    const reason = "it takes one pattern; for several write the option several times";
    return /\s/.test(value.text) || value.text === "" ? [ineffective(value, reason)] : [];
  });
}

function globalWarnings({ Global }: Read): Problem[] {
  return Global.filter(({ text }) => !isTruthy(text) && !/^(false|no|0|off|f|)$/i.test(text)).map((value) =>
    ineffective(value, "only true, yes, 1, on and t make a unit global"),
  );
}

/** Pairs of which fleet would make nothing are left out, as it did. */
function metadataOf(values: readonly Value[], problems: Problem[]): Record<string, readonly string[]> {
  const metadata = new Map<string, Set<string>>();
  for (const value of values) {
    const parts = value.text.split("=");
    const [key = "", wanted = ""] = parts;
    if (parts.length !== 2 || key === "" || wanted === "") {
      const reason = 'only KEY=VALUE is read; several are written "KEY=VALUE" "KEY=VALUE"';
      problems.push(ineffective(value, reason));
      continue;
    }
    metadata.set(key, (metadata.get(key) ?? new Set()).add(wanted));
  }
  return Object.fromEntries([...metadata].map(([key, wanted]) => [key, [...wanted]]));
}
