/**
 * The scheduler: from machines, units and where they are now to what should change, and why. Pure, and the same for the
 * same input in whatever order it comes; docs/scheduling.md says by which rules. The engine carries the decisions out.
 */
import type { SchedulableUnit } from "../model.ts";
import { type Board, type Machine, placeOf, type SchedulingInput, setOut, type Unit } from "./board.ts";
import { type Verdict, verdictsOn, type Waiting, waitingTeller } from "./explain.ts";
import { compareText } from "./order.ts";
import { type RebalanceOptions, rebalance } from "./rebalance.ts";
import { choiceText, departureText } from "./sentences.ts";
import { type Departure, type Journal, settle } from "./settle.ts";

export interface SchedulingOptions {
  /** What `whenIsolated: null` means in this fleet. A unit that stops itself when isolated is exclusive. */
  readonly whenIsolated: "keep" | "stop";
  /** Evens the fleet out when there is nothing else to do. Absent: what runs is never moved for that. */
  readonly rebalance?: RebalanceOptions;
}

/** Why a unit is moved or taken away. `by`: the other unit that it is about. */
export interface Reason {
  readonly code: Departure["code"] | "inactive" | "no-such-unit" | "not-global";
  readonly by: string | null;
}

/** What should change. A global unit has decisions for one machine each, and is never moved. */
export type Decision =
  | {
      readonly do: "place";
      readonly unit: string;
      readonly machine: string;
      readonly reason: { readonly code: "new" | "global"; readonly by: null };
      readonly sentence: string;
    }
  | {
      readonly do: "move";
      readonly unit: string;
      readonly from: string;
      readonly to: string;
      /** Start it there, wait until it is well, then stop it here. Otherwise it stops first. */
      readonly startFirst: boolean;
      readonly reason: Reason;
      readonly sentence: string;
    }
  | {
      readonly do: "unplace";
      readonly unit: string;
      readonly machine: string;
      readonly reason: Reason;
      readonly sentence: string;
    };

export interface Outcome {
  /** The moment that was decided for: the input's `now`. */
  readonly at: number;
  /**
   * First what is only taken away, then the others in the order of turns, targets before followers. A place may be
   * given before the unit that makes room for it has left: whoever carries this out waits for that.
   */
  readonly decisions: readonly Decision[];
  readonly waiting: readonly Waiting[];
}

/** All about one unit: why it is where it is, why not elsewhere, why nowhere. */
export interface Explanation {
  readonly unit: string;
  readonly target: SchedulableUnit["target"];
  /** Where it is, once what was decided has been carried out. */
  readonly machines: readonly string[];
  readonly decisions: readonly Decision[];
  readonly waiting: Waiting | null;
  /** Every machine that is there: where it is first, then those that may take it, the best first, then the others. */
  readonly verdicts: readonly Verdict[];
}

/** Decides. Throws RangeError when two machines or two units of the input share a name. */
export function schedule(input: SchedulingInput, options: SchedulingOptions): Outcome {
  const { board, decisions } = decide(input, options);
  const tell = waitingTeller(board);
  return { at: input.now, decisions, waiting: board.units.filter(isWaiting).map(tell) };
}

/** Explains one unit on the board as it will be; null when there is no such unit. Throws as `schedule` does. */
export function explain(
  input: SchedulingInput,
  name: string,
  options: SchedulingOptions,
): Explanation | null {
  const { board, decisions } = decide(input, options);
  const unit = board.byName.get(name);
  if (unit === undefined) return null;
  return {
    unit: name,
    target: unit.facts.target,
    machines: [...unit.on].map(({ id }) => id).toSorted(compareText),
    decisions: decisions.filter((decision) => decision.unit === name),
    waiting: isWaiting(unit) ? waitingTeller(board)(unit) : null,
    verdicts: unit.active ? verdictsOn(board, unit) : [],
  };
}

function decide(
  input: SchedulingInput,
  options: SchedulingOptions,
): { readonly board: Board; readonly decisions: readonly Decision[] } {
  const board = setOut(input);
  const journal = settle(board);
  const decisions = allDecisions(input, board, journal, options);
  if (decisions.length > 0 || options.rebalance === undefined) return { board, decisions };
  // Only a fleet at rest is evened out: one reason at a time, and never while units look for a place.
  const { maxMoves, exclusive = false } = options.rebalance;
  rebalance(board, journal, maxMoves, (unit) => exclusive || !isExclusive(unit, options));
  return { board, decisions: allDecisions(input, board, journal, options) };
}

function isWaiting(unit: Unit): boolean {
  if (!unit.active) return false;
  if (unit.on.size === 0) return true;
  const place = placeOf(unit);
  return !unit.rules.global && place !== null && (place.facts === null || place.facts.cordon === "draining");
}

/** Whether two of it must never run at a time, whatever that costs. */
function isExclusive(unit: Unit, options: SchedulingOptions): boolean {
  return (unit.rules.whenIsolated ?? options.whenIsolated) === "stop";
}

function allDecisions(
  input: SchedulingInput,
  board: Board,
  journal: Journal,
  options: SchedulingOptions,
): Decision[] {
  const leaving: Decision[] = strayGlobals(input, board);
  const coming: Decision[] = [];
  for (const unit of board.units) {
    const left = unit.home.filter((machine) => !unit.on.has(machine));
    const entered = [...unit.on].filter((machine) => !unit.home.includes(machine));
    const [from] = left;
    const [to] = entered;
    if (from && to && !unit.rules.global) {
      coming.push(moveDecision(unit, from, to, journal, options));
      continue;
    }
    for (const machine of left) leaving.push(unplaceDecision(unit, machine, journal));
    for (const machine of entered) coming.push(placeDecision(unit, machine, journal));
  }
  return [...leaving, ...coming];
}

/** Placements of global units that are no longer there, or no longer global. */
function strayGlobals({ globals = new Map() }: SchedulingInput, board: Board): Decision[] {
  const decisions: Decision[] = [];
  for (const [name, machines] of [...globals].toSorted(([a], [b]) => compareText(a, b))) {
    const unit = board.byName.get(name);
    if (unit?.rules.global) continue;
    const code = unit ? "not-global" : "no-such-unit";
    const why = unit ? "it is no longer global" : "there is no such unit";
    for (const machine of [...machines].toSorted(compareText)) {
      const sentence = `${name} is taken off ${machine}: ${why}`;
      decisions.push({ do: "unplace", unit: name, machine, reason: { code, by: null }, sentence });
    }
  }
  return decisions;
}

function placeDecision(unit: Unit, machine: Machine, journal: Journal): Decision {
  const { name } = unit;
  const choice = journal.choices.get(unit);
  const code = unit.rules.global ? "global" : "new";
  const why = choice ? choiceText(unit, choice) : "it runs on every machine that it fits";
  return {
    ...{ do: "place", unit: name, machine: machine.id, reason: { code, by: null } },
    sentence: `${name} is placed on ${machine.id}: ${why}`,
  };
}

function moveDecision(
  unit: Unit,
  from: Machine,
  to: Machine,
  journal: Journal,
  options: SchedulingOptions,
): Decision {
  const { reason, why } = departureOf(unit, from, journal);
  const isPlanned = reason.code === "draining" || reason.code === "rebalance";
  const choice = journal.choices.get(unit);
  const where = choice ? `; ${to.id} is ${choiceText(unit, choice)}` : "";
  return {
    ...{ do: "move", unit: unit.name, from: from.id, to: to.id, reason },
    startFirst: isPlanned && !isExclusive(unit, options),
    sentence: `${unit.name} moves from ${from.id} to ${to.id}: ${why}${where}`,
  };
}

function unplaceDecision(unit: Unit, machine: Machine, journal: Journal): Decision {
  const { reason, why } = departureOf(unit, machine, journal);
  const sentence = `${unit.name} is taken off ${machine.id}: ${why}`;
  return { do: "unplace", unit: unit.name, machine: machine.id, reason, sentence };
}

function departureOf(unit: Unit, from: Machine, journal: Journal): { reason: Reason; why: string } {
  const departure = journal.departures.get(unit)?.get(from);
  if (departure === undefined) return { reason: { code: "inactive", by: null }, why: "it is to run nowhere" };
  const by = "by" in departure ? departure.by : null;
  return { reason: { code: departure.code, by }, why: departureText(unit, from, departure) };
}
