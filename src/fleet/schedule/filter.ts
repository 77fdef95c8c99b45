/** What is allowed: where a unit may stay, and which machines may take it, nobody being pushed away for it. */
import {
  type Board,
  isLeaving,
  type Machine,
  metadataIndex,
  placeOf,
  type Unit,
  type Volume,
} from "./board.ts";
import { conflict, replaces, rivalMachines } from "./relations.ts";

/** What stands against a unit on a machine. `by`: the other unit that it is about. */
export type Obstacle = { readonly code: "cordoned" } | Misfit;

/** What a unit cannot even stay for. */
export type Misfit =
  | { readonly code: "circle" | "gone" | "draining" | "machine-id" }
  | { readonly code: "metadata"; readonly key: string }
  | { readonly code: "volume"; readonly volume: string }
  | { readonly code: "machine-of" | "conflict" | "replaced"; readonly by: string }
  | { readonly code: "capacity"; readonly resource: "cpu" | "memory" };

/** Why `unit`, which stands elsewhere or nowhere, may not be placed on `machine`; null when it may. */
export function obstacle(unit: Unit, machine: Machine): Obstacle | null {
  const { facts } = machine;
  if (unit.circular) return { code: "circle" };
  if (facts === null) return { code: "gone" };
  if (facts.cordon !== "none") return { code: facts.cordon };
  return unfit(unit, machine) ?? volumeElsewhere(unit, machine, "taken") ?? company(unit, machine);
}

/**
 * Why `unit`, of which `machine` is the home, may not stay; null when it may. On a machine that is gone or being
 * emptied it may, until another takes it; only a global unit does not wait for that, as it runs elsewhere, too.
 */
export function stayObstacle(unit: Unit, machine: Machine): Misfit | null {
  if (unit.circular) return { code: "circle" };
  if (machine.facts === null) return targetElsewhere(unit, machine);
  if (unit.rules.global && machine.facts.cordon === "draining") return { code: "draining" };
  return unfit(unit, machine) ?? volumeElsewhere(unit, machine, "reported") ?? company(unit, machine);
}

/** Whether all targets of `unit` are on `machine`. */
export function targetElsewhere(unit: Unit, machine: Machine): Misfit | null {
  // Those that are missing or inactive have no entry in `targets`.
  if (unit.rules.global) return null;
  for (const target of unit.targets) {
    if (!target.on.has(machine)) return { code: "machine-of", by: target.name };
  }
  const absent = absentTarget(unit);
  return absent === null ? null : { code: "machine-of", by: absent };
}

/** A unit that `unit` follows and that is not there, or inactive. */
export function absentTarget(unit: Unit): string | null {
  const { machineOf, global } = unit.rules;
  if (global || machineOf.length === 0) return null;
  const names = new Set([...unit.targets].map(({ name }) => name));
  return machineOf.find((name) => !names.has(name)) ?? null;
}

/** Machines that may take `unit` now, by id: those to which `obstacle` gives null and where it does not stand. */
export function allowed(board: Board, unit: Unit): readonly Machine[] {
  if (unit.circular || absentTarget(unit) !== null) return [];
  const machines = within(board, unit);
  const rivals = rivalMachines(unit);
  const closed = unit.on.size + rivals.size > 0;
  const { cpu, memory } = unit.rules.requests;
  if (!closed && cpu === 0 && memory === 0) return machines;
  return machines.filter(
    (machine) =>
      !(closed && (unit.on.has(machine) || rivals.has(machine))) && shortage(unit, machine) === null,
  );
}

/** Machines that take new units and have what `unit` needs, whatever else stands there now. */
export function within(board: Board, unit: Unit): readonly Machine[] {
  let machines = select(board, unit);
  if (!unit.rules.global) {
    for (const target of unit.targets) machines = machines.filter((machine) => target.on.has(machine));
  }
  for (const volume of unit.volumes) {
    const holders = volumeHolders(volume);
    if (holders !== null) machines = machines.filter((machine) => holders.has(machine));
  }
  return machines;
}

/** Whether a group may go to `machine` as a whole: `unit` may, and all that follow it. */
export function takesFollowers(unit: Unit, machine: Machine): boolean {
  const group = new Set([unit]);
  let { cpu, memory } = unit.rules.requests;
  for (const one of group) {
    for (const follower of one.followers) {
      if (group.has(follower)) continue;
      group.add(follower);
      cpu += follower.rules.requests.cpu;
      memory += follower.rules.requests.memory;
      if (unfit(follower, machine) ?? volumeElsewhere(follower, machine, "taken")) return false;
      if (rivalMachines(follower).has(machine)) return false;
      for (const target of follower.targets) {
        if (!group.has(target) && target.on.size > 0 && !target.on.has(machine) && !isMovingAlong(target)) {
          return false;
        }
      }
    }
  }
  return shortageOf({ cpu, memory }, machine) === null;
}

/** Whether `unit` has to look for another place itself. */
function isMovingAlong(unit: Unit): boolean {
  const place = placeOf(unit);
  return place === null || isLeaving(place);
}

/** The resource of which `machine` has too little left for `unit`. An unknown capacity is no limit. */
export function shortage(unit: Unit, machine: Machine): "cpu" | "memory" | null {
  return shortageOf(unit.rules.requests, machine);
}

function shortageOf(
  requests: { readonly cpu: number; readonly memory: number },
  { facts, cpu, memory }: Machine,
): "cpu" | "memory" | null {
  if (facts === null) return null;
  const { capacity } = facts;
  if (requests.cpu > 0 && capacity.cpu > 0 && cpu + requests.cpu > capacity.cpu) return "cpu";
  if (requests.memory > 0 && capacity.memory > 0 && memory + requests.memory > capacity.memory)
    return "memory";
  return null;
}

/** What of the machine itself does not fit: its id or its metadata. */
function unfit(unit: Unit, { id, facts }: Machine): Misfit | null {
  const { machineId, metadata } = unit.rules;
  if (machineId !== null && machineId !== id && machineId !== id.slice(0, 8)) return { code: "machine-id" };
  for (const key in metadata) {
    const has = facts?.metadata[key];
    if (has === undefined || !metadata[key]?.includes(has)) return { code: "metadata", key };
  }
  return null;
}

/** Who of those that stand on `machine`, or should, keeps `unit` from it; or that there is no room. */
function company(unit: Unit, machine: Machine): Misfit | null {
  const apart = targetElsewhere(unit, machine);
  if (apart !== null) return apart;
  const rival = hasRelations(unit) ? rivalOn(unit, machine) : null;
  if (rival !== null) return { code: replaces(rival, unit) ? "replaced" : "conflict", by: rival.name };
  const resource = shortage(unit, machine);
  return resource === null ? null : { code: "capacity", resource };
}

/** Of those on `machine` that `unit` does not go together with, the one whose turn comes first. */
function rivalOn(unit: Unit, machine: Machine): Unit | null {
  let first: Unit | null = null;
  for (const other of machine.holds) {
    if (first !== null && first.turn < other.turn) continue;
    if (conflict(unit, other) || replaces(unit, other) || replaces(other, unit)) first = other;
  }
  return first;
}

function hasRelations({ conflicts, replaces: replaced }: Unit): boolean {
  return [conflicts.declared, conflicts.matching, replaced.declared, replaced.matching].some(
    (patterns) => patterns.length > 0,
  );
}

function volumeElsewhere(unit: Unit, machine: Machine, count: "reported" | "taken"): Misfit | null {
  for (const volume of unit.volumes) {
    const holders = count === "taken" ? volumeHolders(volume) : reportedHolders(volume);
    if (holders !== null && !holders.has(machine)) return { code: "volume", volume: volume.name };
  }
  return null;
}

/** Machines that a unit which uses `volume` is tied to; null: nobody holds it yet, the first user's machine will. */
function volumeHolders(volume: Volume): ReadonlySet<Machine> | null {
  const reported = reportedHolders(volume);
  if (reported !== null) return reported;
  // A unit that uses it makes it where it stands, and its machine will report it soon.
  const taken = new Set(volume.users.flatMap((user) => [...user.on]));
  return taken.size > 0 ? taken : null;
}

function reportedHolders({ holders, lost }: Volume): ReadonlySet<Machine> | null {
  return holders.size > 0 || lost ? holders : null;
}

/** Machines that take new units and fit `unit` by id and metadata. The same question is answered once a run. */
function select(board: Board, unit: Unit): readonly Machine[] {
  const { machineId, metadata } = unit.rules;
  const keys = Object.keys(metadata).toSorted();
  const isPlain = machineId === null && keys.length === 0;
  const question = isPlain ? "" : JSON.stringify([machineId, keys.map((key) => [key, metadata[key]])]);
  const known = board.selected.get(question);
  if (known !== undefined) return known;
  let machines = machineId === null ? board.machines : (board.byId.get(machineId) ?? []);
  machines = machines.filter(({ facts }) => facts?.cordon === "none");
  for (const key of keys) {
    const matching = (metadata[key] ?? []).map((value) => board.byMetadata.get(metadataIndex(key, value)));
    machines = machines.filter((machine) => matching.some((index) => index?.has(machine)));
  }
  board.selected.set(question, machines);
  return machines;
}
