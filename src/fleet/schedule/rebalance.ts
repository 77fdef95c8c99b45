/** Evening out a fleet at rest, when asked to: few moves, and only those that clearly help. */
import { type Board, isLeaving, type Machine, put, take, type Unit } from "./board.ts";
import { allowed } from "./filter.ts";
import { scorer, shareWith } from "./score.ts";
import { depart, type Journal } from "./settle.ts";

export interface RebalanceOptions {
  /** How many units may be moved in one run. */
  readonly maxMoves: number;
  /** Also move exclusive units, which are stopped before they start elsewhere. */
  readonly exclusive?: boolean;
}

/**
 * The part of what the fuller machine holds by which the other must still be emptier afterwards. With it no unit can
 * ever be moved back, and a fleet that is rebalanced again and again comes to rest.
 */
const clearly = 0.1;

/** Moves units from fuller machines to emptier ones. `mayMove`: whether a unit may be moved for this at all. */
export function rebalance(
  board: Board,
  journal: Journal,
  maxMoves: number,
  mayMove: (unit: Unit) => boolean,
): void {
  const fullness = fullnessOf(board);
  for (let moves = 0; moves < maxMoves; moves++) {
    const move = findMove(board, fullness, mayMove);
    if (move === null) return;
    take(move.unit, move.from);
    put(move.unit, move.to);
    depart(journal, move.unit, move.from, { code: "rebalance" });
  }
}

/** How full `machine` is, or would be with one unit more or less. */
type Fullness = (machine: Machine, unit?: Unit, count?: 1 | -1) => number;

/** By share when any unit says what it needs, otherwise by the number of units. */
function fullnessOf(board: Board): Fullness {
  const byShare = board.units.some(
    ({ active, rules }) => active && (rules.requests.cpu > 0 || rules.requests.memory > 0),
  );
  if (!byShare) return (machine, unit, count = 1) => machine.holds.size + (unit ? count : 0);
  return (machine, unit, count = 1) => {
    const { cpu, memory } = unit?.rules.requests ?? { cpu: 0, memory: 0 };
    return shareWith(board, machine, { cpu: count * cpu, memory: count * memory });
  };
}

interface Move {
  readonly unit: Unit;
  readonly from: Machine;
  readonly to: Machine;
}

/** The first good move: off the fullest machine that has one, of the unit whose turn comes last. */
function findMove(board: Board, fullness: Fullness, mayMove: (unit: Unit) => boolean): Move | null {
  const open = board.machines.filter(({ facts }) => facts?.cordon === "none");
  const emptiest = Math.min(...open.map((machine) => fullness(machine)));
  const sources = board.machines.filter((machine) => !isLeaving(machine));
  for (const from of sources.toSorted((a, b) => fullness(b) - fullness(a))) {
    if (emptiest > fullness(from) * (1 - clearly)) return null;
    for (const unit of [...from.holds].toSorted((a, b) => b.turn - a.turn)) {
      const to = isFree(unit) && mayMove(unit) ? findTarget(board, fullness, unit, from) : null;
      if (to !== null) return { unit, from, to };
    }
  }
  return null;
}

/** Not global, and tied to nobody who would have to come along. */
function isFree({ rules, targets, followers }: Unit): boolean {
  return !rules.global && targets.size === 0 && followers.size === 0;
}

/** Where `unit` is liked no less than where it is, and leaves both machines clearly less full than its own is now. */
function findTarget(board: Board, fullness: Fullness, unit: Unit, from: Machine): Machine | null {
  const before = fullness(from);
  if (fullness(from, unit, -1) >= before) return null;
  const { points } = scorer(board, unit);
  const here = points(from);
  let best: { readonly machine: Machine; readonly points: number; readonly full: number } | null = null;
  for (const machine of allowed(board, unit)) {
    const full = fullness(machine, unit);
    const there = points(machine);
    if (full > before * (1 - clearly) || there < here) continue;
    if (best === null || there > best.points || (there === best.points && full < best.full)) {
      best = { machine, points: there, full };
    }
  }
  return best?.machine ?? null;
}
