/** What was decided, and why, in words and in codes that programs can go by. */
import { type Board, isLeaving, type Machine, placeOf, put, take, type Unit } from "./board.ts";
import { absentTarget, type Obstacle, obstacle } from "./filter.ts";
import { compareText } from "./order.ts";
import { scorer } from "./score.ts";
import { describe, scored } from "./sentences.ts";

/** Machines that cannot take a unit for one and the same reason. */
export interface Refusal {
  readonly code: Obstacle["code"];
  readonly count: number;
  /** The first few of them, by id. */
  readonly machines: readonly string[];
  readonly sentence: string;
}

/** A unit that should run and can be placed nowhere, or nowhere else. */
export interface Waiting {
  readonly unit: string;
  /** The machine that it keeps its place on, which is gone or being emptied; null: none. */
  readonly machine: string | null;
  readonly reason:
    | "no-machines"
    | "circle"
    | "target-missing"
    | "target-inactive"
    | "target-waiting"
    | "targets-apart"
    | "no-machine-fits";
  readonly sentence: string;
  /** Why not, for all machines that are there. */
  readonly refusals: readonly Refusal[];
}

/** How one machine looks to a unit. */
export interface Verdict {
  readonly machine: string;
  /** `here`: it is placed there; `allowed`: it could be. */
  readonly code: Obstacle["code"] | "here" | "allowed";
  readonly sentence: string;
  readonly points: number;
  readonly load: number;
}

const shownMachines = 5;

/** Gives what `waiting` tells of each of many units; units that are alike are looked at once. */
export function waitingTeller(board: Board): (unit: Unit) => Waiting {
  const known = new Map<string, readonly Refusal[]>();
  return (unit) => {
    const key = likeness(unit);
    const refusals = (key === null ? undefined : known.get(key)) ?? refusalsOf(board, unit);
    if (key !== null) known.set(key, refusals);
    const place = placeOf(unit);
    const { reason, sentence } = waitingReason(board, unit);
    const stays = place && `; until then it keeps its place on ${place.id}, which is ${statusOf(place)}`;
    return {
      ...{ unit: unit.name, machine: place?.id ?? null, reason, refusals },
      sentence: `${unit.name} waits: ${sentence}${stays ?? ""}`,
    };
  };
}

/** What the refusals of a unit depend on; null: on more than can be told at a glance. */
function likeness(unit: Unit): string | null {
  const { rules, conflicts, replaces: replaced, volumes, on } = unit;
  const relations = [conflicts.declared, conflicts.matching, replaced.declared, replaced.matching];
  if (relations.some((patterns) => patterns.length > 0)) return null;
  if (rules.machineOf.length > 0 || volumes.length > 0 || on.size > 0) return null;
  return JSON.stringify([rules.machineId, rules.metadata, rules.requests]);
}

function refusalsOf(board: Board, unit: Unit): Refusal[] {
  const groups = new Map<string, { readonly first: Obstacle; readonly machines: Machine[] }>();
  for (const machine of board.machines) {
    const against = unit.on.has(machine) ? null : obstacle(unit, machine);
    if (against === null) continue;
    const key = JSON.stringify(against);
    const group = groups.get(key);
    if (group) group.machines.push(machine);
    else groups.set(key, { first: against, machines: [machine] });
  }
  return [...groups.values()]
    .toSorted((a, b) => b.machines.length - a.machines.length)
    .map(({ first, machines }) => {
      const ids = machines.slice(0, shownMachines).map(({ id }) => id);
      const names = machines.length > ids.length ? `${machines.length} machines` : ids.join(", ");
      const sentence = `${names}: ${describe(unit, first, machines)}`;
      return { code: first.code, count: machines.length, machines: ids, sentence };
    });
}

function waitingReason(board: Board, unit: Unit): Pick<Waiting, "reason" | "sentence"> {
  if (unit.circular) {
    return { reason: "circle", sentence: `its MachineOf= goes in a circle: ${circleOf(unit).join(" → ")}` };
  }
  const absent = absentTarget(unit);
  if (absent !== null) {
    return board.byName.has(absent)
      ? { reason: "target-inactive", sentence: `it is to be where ${absent} is, which is to run nowhere` }
      : { reason: "target-missing", sentence: `it is to be where ${absent} is, and there is no such unit` };
  }
  for (const target of unit.targets) {
    if (target.on.size === 0) {
      return {
        reason: "target-waiting",
        sentence: `it is to be where ${target.name} is, which waits itself`,
      };
    }
  }
  if (board.machines.length === 0) return { reason: "no-machines", sentence: "no machine is there" };
  const apart = !board.machines.some((machine) => [...unit.targets].every(({ on }) => on.has(machine)));
  if (unit.targets.size > 1 && apart && placeOf(unit) === null) {
    const places = [...unit.targets].map((target) => `${target.name} (on ${placesText(target)})`);
    return {
      reason: "targets-apart",
      sentence: `it is to be where all of these are, which are apart: ${places.join(", ")}`,
    };
  }
  return { reason: "no-machine-fits", sentence: "no machine can take it" };
}

function placesText({ on }: Unit): string {
  const ids = [...on].map(({ id }) => id).toSorted(compareText);
  return ids.length > shownMachines ? `${ids.length} machines` : ids.join(" and ");
}

/** The names of a circle that `unit` is part of, or leads into, its first one again at the end. */
function circleOf(unit: Unit): string[] {
  const path: Unit[] = [];
  let next: Unit | undefined = unit;
  while (next && !path.includes(next)) {
    path.push(next);
    next = [...next.targets].find((target) => target.circular);
  }
  const circle = next ? path.slice(path.indexOf(next)) : path;
  return [...circle, ...circle.slice(0, 1)].map(({ name }) => name);
}

/** How all machines look to `unit`: where it is first, then those that may take it, the best first, then the others. */
export function verdictsOn(board: Board, unit: Unit): Verdict[] {
  const places = [...unit.on];
  // Others are judged as if it had no place: what it takes up itself does not stand in its way.
  for (const place of places) if (!unit.rules.global) take(unit, place);
  const score = scorer(board, unit);
  const verdicts = board.machines.map((machine): Verdict => {
    const against = obstacle(unit, machine);
    const isHere = places.includes(machine);
    const [points, load] = [score.points(machine), score.load(machine)];
    const base = { machine: machine.id, points, load };
    if (isHere) return { ...base, code: "here", sentence: `it is here (${scored(unit, { points, load })})` };
    if (against === null) {
      return { ...base, code: "allowed", sentence: `it may run here (${scored(unit, { points, load })})` };
    }
    return { ...base, code: against.code, sentence: describe(unit, against, [machine]) };
  });
  for (const place of places) if (!unit.rules.global) put(unit, place);
  return verdicts.toSorted((a, b) => goodness(b) - goodness(a) || b.points - a.points || a.load - b.load);
}

function goodness({ code }: Verdict): number {
  if (code === "here") return 2;
  return code === "allowed" ? 1 : 0;
}

function statusOf(machine: Machine): string {
  if (machine.facts === null) return "gone";
  return isLeaving(machine) ? "being drained" : "there";
}
