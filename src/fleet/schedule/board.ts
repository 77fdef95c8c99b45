/**
 * The board: machines and units as objects that know each other, and where everything stands. It is made anew from the
 * input of every run, in an order that does not depend on the input's, and only `put` and `take` change it.
 */
import type { SchedulableMachine, SchedulableUnit } from "../model.ts";
import { compareRank, compareText, orderUnits } from "./order.ts";
import { type Pattern, relate } from "./relations.ts";

export interface SchedulingInput {
  /** Machines whose lease lives. */
  readonly machines: readonly SchedulableMachine[];
  readonly units: readonly SchedulableUnit[];
  /** The moment that is decided for, in milliseconds since 1970. Nothing but the outcome's `at` comes of it. */
  readonly now: number;
  /** Global units: the ids of the machines that each is placed on now. */
  readonly globals?: ReadonlyMap<string, readonly string[]>;
  /** Volumes that only machines hold which are not there now: units that need them wait rather than start empty. */
  readonly lostVolumes?: readonly string[];
}

export interface Machine {
  readonly id: string;
  /** null: it is gone, and here only because units are placed on it still. */
  readonly facts: SchedulableMachine | null;
  readonly holds: Set<Unit>;
  /** What the units that it holds ask for, in thousandths of a core and in bytes. */
  cpu: number;
  memory: number;
}

export interface Unit {
  readonly name: string;
  readonly facts: SchedulableUnit;
  readonly rules: SchedulableUnit["rules"];
  readonly active: boolean;
  /** Where it was placed when the run began: at most one machine but for global units. */
  readonly home: readonly Machine[];
  /** Where it stands now. */
  readonly on: Set<Machine>;
  /** Units that it follows by MachineOf=, as far as they are there and active, and those that follow it. */
  targets: ReadonlySet<Unit>;
  followers: ReadonlySet<Unit>;
  /** Its place in the order in which places are given. */
  turn: number;
  /** Its MachineOf= goes in a circle, so that there is no place to begin. */
  circular: boolean;
  readonly conflicts: Relation;
  readonly replaces: Relation;
  /** Units of one ring replace each other in a circle, which is ignored. null: in no ring. */
  ring: number | null;
  readonly family: Family;
  readonly volumes: readonly Volume[];
}

/** Patterns of one kind of option: those that a unit declares, and those of any unit that its name matches. */
export interface Relation {
  readonly declared: Pattern[];
  readonly matching: Pattern[];
}

/** The instances of one template; a unit that is no instance is alone in its family. */
export interface Family {
  readonly counts: Map<Machine, number>;
}

export interface Volume {
  readonly name: string;
  /** Machines that say that they hold it. */
  readonly holders: Set<Machine>;
  readonly lost: boolean;
  readonly users: Unit[];
}

export interface Board {
  /** Those that are there, by id. */
  readonly machines: readonly Machine[];
  /** Every unit in the order in which places are given: see order.ts. */
  readonly units: readonly Unit[];
  readonly byName: ReadonlyMap<string, Unit>;
  /** Machines by `metadataIndex` of each of their metadata. */
  readonly byMetadata: ReadonlyMap<string, ReadonlySet<Machine>>;
  /** Machines by full id, and by the first 8 characters of it. */
  readonly byId: ReadonlyMap<string, readonly Machine[]>;
  /** Filled by filter.ts: machines that take new units, by what is asked of a machine's id and metadata. */
  readonly selected: Map<string, readonly Machine[]>;
  /** What stands in for a capacity that nobody knows when loads are compared. */
  readonly typical: { readonly cpu: number; readonly memory: number };
}

/** For the many units that follow nobody. */
const nobody: ReadonlySet<Unit> = new Set();

/** Sets out the board with nothing placed. Throws RangeError when two machines or two units share a name. */
export function setOut(input: SchedulingInput): Board {
  const machines = new Map<string, Machine>();
  for (const facts of input.machines) addNew(machines, facts.id, makeMachine(facts.id, facts));
  const gone = new Map<string, Machine>();
  const find = (id: string): Machine => machines.get(id) ?? remember(gone, id, () => makeMachine(id, null));
  const volumes = readVolumes(input, machines);
  const families = new Map<string, Family>();
  const byName = new Map<string, Unit>();
  for (const facts of input.units.toSorted(compareRank)) addNew(byName, facts.name, makeUnit(facts));
  linkTargets(byName);
  const units = orderUnits([...byName.values()]);
  for (const [turn, unit] of units.entries()) unit.turn = turn;
  relate(units.filter((unit) => unit.active));
  const sorted = [...machines.values()].toSorted((a, b) => compareText(a.id, b.id));
  return {
    machines: sorted,
    units,
    byName,
    byMetadata: indexMetadata(sorted),
    byId: indexIds(sorted),
    selected: new Map(),
    typical: {
      cpu: typicalCapacity(input, (resources) => resources.cpu),
      memory: typicalCapacity(input, (resources) => resources.memory),
    },
  };

  function makeUnit(facts: SchedulableUnit): Unit {
    const { name, rules, target, machine } = facts;
    const places = rules.global ? (input.globals?.get(name) ?? []) : [];
    const all = machine === null ? places : [...places, machine];
    const unit: Unit = {
      name,
      facts,
      rules,
      active: target !== "inactive",
      home: all.length > 1 ? [...new Set(all)].toSorted(compareText).map(find) : all.map(find),
      on: new Set(),
      targets: nobody,
      followers: nobody,
      turn: 0,
      circular: false,
      conflicts: { declared: [], matching: [] },
      replaces: { declared: [], matching: [] },
      ring: null,
      family: remember(families, templateOf(name) ?? name, () => ({ counts: new Map() })),
      // A global unit has a volume of its own on every machine, and is tied to none.
      volumes: (rules.global ? [] : rules.volumes).map((volume) =>
        remember(volumes, volume, () => makeVolume(volume, false)),
      ),
    };
    if (unit.active) for (const volume of unit.volumes) volume.users.push(unit);
    return unit;
  }
}

/** Places `unit` on `machine`. */
export function put(unit: Unit, machine: Machine): void {
  const { requests } = unit.rules;
  unit.on.add(machine);
  machine.holds.add(unit);
  machine.cpu += requests.cpu;
  machine.memory += requests.memory;
  const { counts } = unit.family;
  counts.set(machine, (counts.get(machine) ?? 0) + 1);
}

/** Takes `unit` off `machine`. */
export function take(unit: Unit, machine: Machine): void {
  const { requests } = unit.rules;
  unit.on.delete(machine);
  machine.holds.delete(unit);
  machine.cpu -= requests.cpu;
  machine.memory -= requests.memory;
  const { counts } = unit.family;
  const left = (counts.get(machine) ?? 0) - 1;
  if (left > 0) counts.set(machine, left);
  else counts.delete(machine);
}

/** Where a unit that is not global stands. */
export function placeOf(unit: Unit): Machine | null {
  for (const machine of unit.on) return machine;
  return null;
}

/** Whether a unit on `machine` keeps its place only as long as there is no other: it is gone, or being emptied. */
export function isLeaving(machine: Machine): boolean {
  return machine.facts === null || machine.facts.cordon === "draining";
}

/** `unit` and all that follow it on `machine`, also by way of others: they leave together. */
export function withFollowers(unit: Unit, machine: Machine): Set<Unit> {
  const all = new Set([unit]);
  for (const one of all) {
    for (const follower of one.followers) if (follower.on.has(machine)) all.add(follower);
  }
  return all;
}

/** `web@.service` for `web@1.service`; null for a unit that is no instance. */
export function templateOf(name: string): string | null {
  const [at, dot] = [name.indexOf("@"), name.lastIndexOf(".")];
  return at > 0 && dot > at + 1 ? `${name.slice(0, at + 1)}${name.slice(dot)}` : null;
}

function makeMachine(id: string, facts: SchedulableMachine | null): Machine {
  return { id, facts, holds: new Set(), cpu: 0, memory: 0 };
}

function makeVolume(name: string, lost: boolean): Volume {
  return { name, lost, holders: new Set(), users: [] };
}

function addNew<T>(map: Map<string, T>, key: string, value: T): void {
  if (map.has(key)) throw new RangeError(`"${key}" was given to the scheduler twice`);
  map.set(key, value);
}

function remember<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function readVolumes(input: SchedulingInput, machines: ReadonlyMap<string, Machine>): Map<string, Volume> {
  const lost = new Set(input.lostVolumes);
  const volumes = new Map<string, Volume>();
  for (const name of lost) volumes.set(name, makeVolume(name, true));
  for (const machine of machines.values()) {
    for (const name of machine.facts?.volumes ?? []) {
      remember(volumes, name, () => makeVolume(name, false)).holders.add(machine);
    }
  }
  return volumes;
}

function linkTargets(byName: ReadonlyMap<string, Unit>): void {
  const followers = new Map<Unit, Set<Unit>>();
  for (const unit of byName.values()) {
    // A global unit has no one place to follow to; the unit file's check refuses the two together.
    if (!unit.active || unit.rules.global || unit.rules.machineOf.length === 0) continue;
    const targets = unit.rules.machineOf.flatMap((name) => byName.get(name) ?? []);
    unit.targets = new Set(targets.filter(({ active }) => active));
    for (const target of unit.targets) {
      const all = followers.get(target) ?? new Set();
      followers.set(target, all.add(unit));
    }
  }
  for (const [target, all] of followers) target.followers = all;
}

/** What machines with `key` of this value are found by. */
export function metadataIndex(key: string, value: string): string {
  return `${key}\n${value}`;
}

function indexMetadata(machines: readonly Machine[]): Map<string, Set<Machine>> {
  const index = new Map<string, Set<Machine>>();
  for (const machine of machines) {
    for (const [key, value] of Object.entries(machine.facts?.metadata ?? {})) {
      remember(index, metadataIndex(key, value), () => new Set()).add(machine);
    }
  }
  return index;
}

function indexIds(machines: readonly Machine[]): Map<string, Machine[]> {
  const index = new Map<string, Machine[]>();
  for (const machine of machines) {
    for (const name of new Set([machine.id, machine.id.slice(0, 8)])) {
      remember(index, name, (): Machine[] => []).push(machine);
    }
  }
  return index;
}

/** The mean of the known capacities; where none is known, what all units ask for together. At least 1. */
function typicalCapacity(
  { machines, units }: SchedulingInput,
  of: (resources: SchedulableMachine["capacity"]) => number,
): number {
  const known = machines.map(({ capacity }) => of(capacity)).filter((capacity) => capacity > 0);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  if (known.length > 0) return sum(known) / known.length;
  return Math.max(1, sum(units.map(({ rules }) => of(rules.requests))));
}
