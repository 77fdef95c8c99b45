/**
 * Who goes first. Units that follow each other by MachineOf= form a group, which is given its places in one go, targets
 * before followers, when the turn of its first member comes.
 */
import type { SchedulableUnit } from "../model.ts";
import type { Unit } from "./board.ts";

/** By code units: the same on every machine, whatever its language. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Higher priority first; among equals global units, then what was submitted first, then names. */
export function compareRank(a: SchedulableUnit, b: SchedulableUnit): number {
  return (
    b.rules.priority - a.rules.priority ||
    Number(b.rules.global) - Number(a.rules.global) ||
    a.order - b.order ||
    compareText(a.name, b.name)
  );
}

/** `units`, which come by rank, in the order of turns. Marks those whose MachineOf= goes in a circle. */
export function orderUnits(units: readonly Unit[]): Unit[] {
  if (units.every(({ targets }) => targets.size === 0)) return [...units];
  const depths = targetDepths(units);
  const turns = groupTurns(units);
  const last = units.length;
  const keyed = units.map((unit, rank) => ({
    ...{ unit, rank, turn: turns.get(unit) ?? rank, depth: depths.get(unit) ?? last },
  }));
  keyed.sort((a, b) => a.turn - b.turn || a.depth - b.depth || a.rank - b.rank);
  return keyed.map(({ unit }) => unit);
}

/** How many targets stand one behind the other before each unit; none for those that a circle keeps from a place. */
function targetDepths(units: readonly Unit[]): Map<Unit, number> {
  const depths = new Map<Unit, number>();
  const reached = peel(
    new Set(units),
    (unit) => unit.targets,
    (unit) => unit.followers,
  );
  for (const unit of reached) {
    let depth = 0;
    for (const target of unit.targets) depth = Math.max(depth, (depths.get(target) ?? 0) + 1);
    depths.set(unit, depth);
  }
  const rest = new Set(units.filter((unit) => !depths.has(unit)));
  // What only waits for a circle, and is not part of one, has no follower left in the end.
  const behind = peel(
    rest,
    (unit) => unit.followers,
    (unit) => unit.targets,
  );
  for (const unit of rest) unit.circular = !behind.has(unit);
  return depths;
}

/** Takes away, again and again, those of `units` that need none of the rest; gives them in that order. */
function peel(
  units: ReadonlySet<Unit>,
  needs: (unit: Unit) => ReadonlySet<Unit>,
  neededBy: (unit: Unit) => ReadonlySet<Unit>,
): Set<Unit> {
  const open = new Map<Unit, number>();
  for (const unit of units) {
    let count = 0;
    for (const needed of needs(unit)) if (units.has(needed)) count += 1;
    open.set(unit, count);
  }
  const peeled = new Set([...units].filter((unit) => open.get(unit) === 0));
  for (const unit of peeled) {
    for (const next of neededBy(unit)) {
      const left = (open.get(next) ?? 0) - 1;
      open.set(next, left);
      if (left === 0) peeled.add(next);
    }
  }
  return peeled;
}

/** The turn of each unit that is part of a group: the best rank in it. */
function groupTurns(units: readonly Unit[]): Map<Unit, number> {
  const turns = new Map<Unit, number>();
  for (const [rank, first] of units.entries()) {
    if (turns.has(first) || first.rules.global) continue;
    const group = new Set([first]);
    for (const unit of group) {
      turns.set(unit, rank);
      for (const other of [...unit.targets, ...unit.followers]) if (!other.rules.global) group.add(other);
    }
  }
  // A global unit has a turn of its own, and comes before the first group that follows it.
  for (const [rank, unit] of units.entries()) {
    if (!unit.rules.global) continue;
    let turn = rank;
    for (const follower of unit.followers) turn = Math.min(turn, turns.get(follower) ?? turn);
    turns.set(unit, turn);
  }
  return turns;
}
