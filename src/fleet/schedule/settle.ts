/**
 * Gives every unit its place: first all stay who may, then those without a place are given one, turn by turn, until a
 * whole round changes nothing. So a run that begins where another one ended has nothing to do.
 */
import { type Board, isLeaving, type Machine, placeOf, put, take, type Unit } from "./board.ts";
import { allowed, type Misfit, stayObstacle, targetElsewhere } from "./filter.ts";
import { choosePush, type Push, pushFor } from "./preempt.ts";
import { type Choice, choose } from "./score.ts";

/** Why a unit left a machine. `by`: the other unit that it is about. */
export type Departure =
  | Misfit
  | { readonly code: "preempted"; readonly by: string }
  | { readonly code: "rebalance" };

/** Why things went where they are: the last departure from each home, and the choice of each place. */
export interface Journal {
  readonly departures: Map<Unit, Map<Machine, Departure>>;
  readonly choices: Map<Unit, Choice>;
}

/** Places all units of a board on which nothing is placed yet. */
export function settle(board: Board): Journal {
  const journal: Journal = { departures: new Map(), choices: new Map() };
  for (const unit of board.units) {
    if (unit.active) for (const machine of unit.home) stayOrLeave(unit, machine, journal);
  }
  // Every round but the last gives a place to somebody, at the cost of lower ranks alone. The limit is for our mistakes.
  for (let rounds = board.units.length + 10; ; rounds--) {
    let changed = false;
    for (const unit of board.units) {
      if (!unit.active) continue;
      if (unit.rules.global ? settleGlobal(board, unit, journal) : settleOne(board, unit, journal))
        changed = true;
    }
    if (!changed) return journal;
    if (rounds === 0) throw new RangeError("the schedule does not come to rest");
  }
}

/** Records that `unit` left `machine`, which only matters for its home. */
export function depart(journal: Journal, unit: Unit, machine: Machine, departure: Departure): void {
  const departures = journal.departures.get(unit);
  if (departures) departures.set(machine, departure);
  else journal.departures.set(unit, new Map([[machine, departure]]));
}

function stayOrLeave(unit: Unit, machine: Machine, journal: Journal): void {
  const against = stayObstacle(unit, machine);
  if (against === null) {
    put(unit, machine);
    return;
  }
  // Whom it replaces may stand here already.
  const push = against.code === "conflict" ? pushHere(unit, machine) : null;
  if (push) {
    carryOut(push, unit, journal);
    put(unit, machine);
  } else {
    depart(journal, unit, machine, against);
  }
}

function pushHere(unit: Unit, machine: Machine): Push | null {
  return unit.replaces.declared.length > 0 ? pushFor(unit, machine, "replaces") : null;
}

/** Gives `unit` a place if it has none, or only one that it is to leave. Tells whether anything changed. */
function settleOne(board: Board, unit: Unit, journal: Journal): boolean {
  const place = placeOf(unit);
  if (place !== null && !isLeaving(place)) return false;
  const choice = choose(board, unit, allowed(board, unit));
  const pushed = choice === null ? choosePush(board, unit) : null;
  const chosen = choice ?? pushed?.choice ?? null;
  if (pushed) carryOut(pushed.push, unit, journal);
  if (place !== null) {
    const apart = targetElsewhere(unit, place);
    if (chosen === null && apart === null) return false;
    take(unit, place);
    depart(journal, unit, place, (chosen === null ? apart : null) ?? leavingReason(place));
  }
  if (chosen === null) return place !== null;
  put(unit, chosen.machine);
  journal.choices.set(unit, chosen);
  return true;
}

function leavingReason({ facts }: Machine): Departure {
  return { code: facts === null ? "gone" : "draining" };
}

/** Places a global unit wherever it fits. */
function settleGlobal(board: Board, unit: Unit, journal: Journal): boolean {
  const before = unit.on.size;
  for (const machine of allowed(board, unit)) put(unit, machine);
  let changed = unit.on.size > before;
  if (!unit.rules.preempts) return changed;
  for (let pushed = choosePush(board, unit); pushed !== null; pushed = choosePush(board, unit)) {
    carryOut(pushed.push, unit, journal);
    put(unit, pushed.push.machine);
    changed = true;
  }
  return changed;
}

/** Takes everybody off the machine who leaves it for `unit`. */
function carryOut({ machine, leaving }: Push, unit: Unit, journal: Journal): void {
  for (const [other, because] of leaving) {
    const target = [...other.targets].find((one) => leaving.has(one));
    take(other, machine);
    depart(
      journal,
      other,
      machine,
      target ? { code: "machine-of", by: target.name } : { code: because, by: unit.name },
    );
  }
}
