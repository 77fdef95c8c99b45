/** Which of the allowed machines is the best one. Nothing here allows or forbids. */
import type { PlacementRules, Resources } from "../model.ts";
import { type Board, type Machine, metadataIndex, templateOf, type Unit } from "./board.ts";
import { takesFollowers } from "./filter.ts";

/** How well a machine suits a unit. */
export interface Score {
  /** Of affinity and spreading: more is better. */
  readonly points: number;
  /**
   * How full the machine would be: the larger share of its processors and its memory when the unit says what it needs,
   * otherwise the number of units there. Less is better, and decides among machines of equal points.
   */
  readonly load: number;
}

export interface Choice extends Score {
  readonly machine: Machine;
  /** How many machines there were to choose from. */
  readonly among: number;
  /** Whether affinity or spreading told them apart. */
  readonly preferred: boolean;
}

/** What an instance of a template loses for each other instance on the same machine, if it says nothing of spreading. */
const defaultSpread: PlacementRules["spread"] = [{ key: "machine", weight: 10 }];

/**
 * The best of `machines`, which come by id: where `unit` was, when it was displaced and may come back; else where its
 * followers can be, too; the most points; the least load; the fewest units; the first id.
 */
export function choose(board: Board, unit: Unit, machines: readonly Machine[]): Choice | null {
  const { points, load } = scorer(board, unit);
  const [wasPlaced, hasFollowers] = [unit.home.length > 0, unit.followers.size > 0];
  let best: (Score & { readonly machine: Machine; readonly fit: number }) | null = null;
  let [fewest, most] = [Infinity, -Infinity];
  // A scan, and no heap: in a fleet of a thousand machines it takes microseconds, whatever the unit wishes.
  for (const machine of machines) {
    const here = points(machine);
    if (here < fewest) fewest = here;
    if (here > most) most = here;
    let fit = 0;
    if (wasPlaced && unit.home.includes(machine)) fit = 2;
    else if (hasFollowers && takesFollowers(unit, machine)) fit = 1;
    if (best !== null && (fit < best.fit || (fit === best.fit && here < best.points))) continue;
    const full = load(machine);
    if (best !== null && fit === best.fit && here === best.points) {
      if (full > best.load || (full === best.load && machine.holds.size >= best.machine.holds.size)) continue;
    }
    best = { machine, fit, points: here, load: full };
  }
  return best && { ...best, among: machines.length, preferred: fewest < most };
}

/** Gives the two parts of the score of any machine for `unit`, which is not counted where it stands. */
export function scorer(
  board: Board,
  unit: Unit,
): { readonly points: (machine: Machine) => number; readonly load: (machine: Machine) => number } {
  const { requests } = unit.rules;
  const byShare = requests.cpu > 0 || requests.memory > 0;
  const isSomewhere = unit.on.size > 0;
  return {
    points: pointsFor(board, unit),
    load: (machine) => {
      const isThere = isSomewhere && machine.holds.has(unit);
      if (byShare) return shareWith(board, machine, isThere ? nothing : requests);
      return machine.holds.size - (isThere ? 1 : 0);
    },
  };
}

const nothing: Resources = { cpu: 0, memory: 0 };

/** The share of `machine` that is asked for, with `more` on it: of processors or of memory, whichever is larger. */
export function shareWith({ typical }: Board, machine: Machine, more: Resources): number {
  const capacity = machine.facts?.capacity ?? typical;
  return Math.max(
    (machine.cpu + more.cpu) / (capacity.cpu || typical.cpu),
    (machine.memory + more.memory) / (capacity.memory || typical.memory),
  );
}

function pointsFor(board: Board, unit: Unit): (machine: Machine) => number {
  const { affinity } = unit.rules;
  const isInstance = templateOf(unit.name) !== null;
  const spread = unit.rules.spread.length > 0 || !isInstance ? unit.rules.spread : defaultSpread;
  const wishes = affinity.map(({ key, value, weight }) => ({
    machines: board.byMetadata.get(metadataIndex(key, value)),
    weight,
  }));
  const costs = spread.map(({ key, weight }) => ({ count: siblings(unit, key), weight }));
  if (wishes.length === 0 && costs.length === 0) return () => 0;
  return (machine) => {
    let points = 0;
    for (const { machines, weight } of wishes) if (machines?.has(machine)) points += weight;
    for (const { count, weight } of costs) points -= weight * count(machine);
    return points;
  };
}

/** Counts the other instances on machines that have the same value of metadata `key`. */
function siblings(unit: Unit, key: string): (machine: Machine) => number {
  const { counts } = unit.family;
  if (key === "machine") {
    const own = unit.on.size > 0 ? unit.on : null;
    return (machine) => (counts.get(machine) ?? 0) - (own?.has(machine) ? 1 : 0);
  }
  // Machines without the key are alike in that.
  const valueAt = (machine: Machine): string | undefined => machine.facts?.metadata[key];
  const byValue = new Map<string | undefined, number>();
  for (const [machine, count] of counts) {
    const others = unit.on.has(machine) ? count - 1 : count;
    if (machine.facts !== null) byValue.set(valueAt(machine), (byValue.get(valueAt(machine)) ?? 0) + others);
  }
  return (machine) => byValue.get(valueAt(machine)) ?? 0;
}
