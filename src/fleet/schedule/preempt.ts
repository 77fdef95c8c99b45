/**
 * Who has to go so that a unit can come. Two things push a unit away: Replaces=, and a higher priority with
 * Preempt=yes. Each push goes down, to a lower priority or along Replaces= outside of its rings, so that pushing comes
 * to an end.
 */
import { type Board, type Machine, type Unit, withFollowers } from "./board.ts";
import { absentTarget, shortage, within } from "./filter.ts";
import { conflict, replaces } from "./relations.ts";
import { type Choice, choose } from "./score.ts";

/** A machine, and who leaves it. */
export interface Push {
  readonly machine: Machine;
  /** Whole groups: whoever follows a unit that goes, goes. `because`: what its place is wanted for. */
  readonly leaving: ReadonlyMap<Unit, "replaced" | "preempted">;
}

/** What pushing may be for. */
type Means = "replaces" | "priority";

/**
 * The machine that takes `unit` when others are pushed off it: where the highest priority of those who go is the
 * lowest, then where the fewest go, then the best by score. null: pushing does not help, or is not for this unit.
 */
export function choosePush(board: Board, unit: Unit): { push: Push; choice: Choice } | null {
  const canPush = unit.rules.preempts || unit.replaces.declared.length > 0;
  if (!canPush || unit.circular || absentTarget(unit) !== null) return null;
  const pushes = new Map<Machine, Push>();
  let [cheapest, cost]: [Machine[], readonly [number, number]] = [[], [Infinity, Infinity]];
  for (const machine of within(board, unit)) {
    const push = unit.on.has(machine) ? null : pushFor(unit, machine, "priority");
    if (push === null) continue;
    pushes.set(machine, push);
    const own = costOf(push);
    const difference = own[0] - cost[0] || own[1] - cost[1];
    if (difference < 0) [cheapest, cost] = [[], own];
    if (difference <= 0) cheapest.push(machine);
  }
  const choice = choose(board, unit, cheapest);
  const push = choice && pushes.get(choice.machine);
  return push ? { push, choice } : null;
}

function costOf({ leaving }: Push): readonly [number, number] {
  let highest = -Infinity;
  for (const unit of leaving.keys()) highest = Math.max(highest, unit.rules.priority);
  return [highest, leaving.size];
}

/**
 * Who has to leave `machine`, which fits `unit` in all else, so that `unit` can come: by Replaces= alone, or also by
 * priority when the unit preempts. As few as can be: none of them could stay if the others go. null: it cannot be done.
 */
export function pushFor(unit: Unit, machine: Machine, means: Means): Push | null {
  const leaving = new Map<Unit, "replaced" | "preempted">();
  const add = (other: Unit, because: "replaced" | "preempted"): void => {
    for (const one of withFollowers(other, machine)) leaving.set(one, because);
  };
  const preempts = means === "priority" && unit.rules.preempts;
  const followed = allTargets(unit);
  const mayPush = (other: Unit, than: "lower" | "not higher"): boolean => {
    for (const one of withFollowers(other, machine)) {
      const difference = unit.rules.priority - one.rules.priority;
      if (followed.has(one) || (than === "lower" ? difference <= 0 : difference < 0)) return false;
    }
    return true;
  };
  for (const other of machine.holds) {
    if (replaces(unit, other) && mayPush(other, "not higher")) add(other, "replaced");
  }
  for (const other of machine.holds) {
    if (leaving.has(other) || other === unit) continue;
    if (!conflict(unit, other) && !replaces(other, unit) && !replaces(unit, other)) continue;
    if (!preempts || !mayPush(other, "lower")) return null;
    add(other, "preempted");
  }
  if (hasRoom(unit, machine, leaving)) return { machine, leaving };
  if (!preempts) return null;
  const lower = [...machine.holds].filter((other) => !leaving.has(other) && mayPush(other, "lower"));
  for (const other of lower) leaving.set(other, "preempted");
  if (!hasRoom(unit, machine, leaving)) return null;
  spare(unit, machine, leaving, lower);
  return { machine, leaving };
}

/** Lets those of `lower` stay who can, the highest priority first, and nobody without the targets that it follows. */
function spare(
  unit: Unit,
  machine: Machine,
  leaving: Map<Unit, "replaced" | "preempted">,
  lower: readonly Unit[],
): void {
  const order = lower.toSorted((a, b) => b.rules.priority - a.rules.priority || a.turn - b.turn);
  const rest = new Set(order);
  for (let again = true; again; ) {
    again = false;
    for (const other of rest) {
      if ([...other.targets].some((target) => leaving.has(target))) continue;
      rest.delete(other);
      leaving.delete(other);
      if (hasRoom(unit, machine, leaving)) again = true;
      else leaving.set(other, "preempted");
    }
  }
}

function hasRoom(unit: Unit, machine: Machine, leaving: ReadonlyMap<Unit, unknown>): boolean {
  let { cpu, memory } = machine;
  for (const { rules } of leaving.keys()) {
    cpu -= rules.requests.cpu;
    memory -= rules.requests.memory;
  }
  return shortage(unit, { ...machine, cpu, memory }) === null;
}

/** `unit` and all that it follows, also by way of others: to push them would take its own place away. */
function allTargets(unit: Unit): ReadonlySet<Unit> {
  const all = new Set([unit]);
  for (const one of all) for (const target of one.targets) all.add(target);
  return all;
}
