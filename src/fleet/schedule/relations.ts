/**
 * Conflicts= and Replaces=: which units do not go together. Units are tied to patterns and patterns to units, never
 * units to units: a thousand instances that all conflict with `web@*` are two thousand ties, and not a million.
 */
import { matchesGlob } from "../unit/glob.ts";
import type { Machine, Relation, Unit } from "./board.ts";
import { compareText } from "./order.ts";

/** A glob, with the units whose names it matches and those that declare it. */
export interface Pattern {
  readonly members: readonly Unit[];
  readonly declarers: Unit[];
}

/** Ties `units` by what they declare. */
export function relate(units: readonly Unit[]): void {
  if (units.every(({ rules }) => rules.conflicts.length + rules.replaces.length === 0)) return;
  const names = new Names(units);
  tie(
    units,
    names,
    (unit) => unit.rules.conflicts,
    (unit) => unit.conflicts,
  );
  tie(
    units,
    names,
    // A global unit moves nobody away; the unit file's check refuses the two together.
    (unit) => (unit.rules.global ? [] : unit.rules.replaces),
    (unit) => unit.replaces,
  );
  findRings(units.filter((unit) => unit.replaces.declared.length > 0));
}

/** Symmetric: one of the two declares it. Never true of a unit with itself. */
export function conflict(a: Unit, b: Unit): boolean {
  return a !== b && (declares(a.conflicts, b.conflicts) || declares(b.conflicts, a.conflicts));
}

/** Whether `a` is to move `b` away from where it goes. */
export function replaces(a: Unit, b: Unit): boolean {
  return a !== b && declares(a.replaces, b.replaces) && (a.ring === null || a.ring !== b.ring);
}

/** Machines that hold a unit which `unit` does not go together with. */
export function rivalMachines(unit: Unit): ReadonlySet<Machine> {
  const machines = new Set<Machine>();
  const add = (others: readonly Unit[], together: (other: Unit) => boolean): void => {
    for (const other of others) {
      if (other.on.size > 0 && together(other)) for (const machine of other.on) machines.add(machine);
    }
  };
  for (const pattern of unit.conflicts.declared) add(pattern.members, (other) => other !== unit);
  for (const pattern of unit.conflicts.matching) add(pattern.declarers, (other) => other !== unit);
  for (const pattern of unit.replaces.declared) add(pattern.members, (other) => replaces(unit, other));
  for (const pattern of unit.replaces.matching) add(pattern.declarers, (other) => replaces(other, unit));
  return machines;
}

function declares(a: Relation, b: Relation): boolean {
  return a.declared.some((pattern) => b.matching.includes(pattern));
}

/** Units by name, so that a pattern looks only at those which begin as it does. */
class Names {
  readonly #sorted: readonly Unit[];
  readonly #byName: ReadonlyMap<string, Unit>;

  constructor(units: readonly Unit[]) {
    this.#sorted = units.toSorted((a, b) => compareText(a.name, b.name));
    this.#byName = new Map(units.map((unit) => [unit.name, unit]));
  }

  matching(pattern: string): readonly Unit[] {
    const begin = /^[^*?[\\]*/.exec(pattern)?.[0] ?? "";
    if (begin === pattern) {
      const unit = this.#byName.get(pattern);
      return unit ? [unit] : [];
    }
    const found: Unit[] = [];
    for (let at = this.#firstFrom(begin); at < this.#sorted.length; at++) {
      const unit = this.#sorted[at];
      if (!unit?.name.startsWith(begin)) break;
      if (matchesGlob(pattern, unit.name)) found.push(unit);
    }
    return found;
  }

  #firstFrom(begin: string): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle]?.name ?? "") < begin) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function tie(
  units: readonly Unit[],
  names: Names,
  patternsOf: (unit: Unit) => readonly string[],
  relationOf: (unit: Unit) => Relation,
): void {
  const patterns = new Map<string, Pattern>();
  for (const unit of units) {
    for (const text of new Set(patternsOf(unit))) {
      let pattern = patterns.get(text);
      if (pattern === undefined) {
        pattern = { members: names.matching(text), declarers: [] };
        patterns.set(text, pattern);
        for (const member of pattern.members) relationOf(member).matching.push(pattern);
      }
      pattern.declarers.push(unit);
      relationOf(unit).declared.push(pattern);
    }
  }
}

/**
 * Marks units that replace each other in a circle: the strongly connected parts of "moves away", which leads from a
 * unit to those that it replaces, and from those to their followers, who leave with them (Tarjan 1972; with a stack of
 * its own, since circles may be long). Without circles, replacing comes to an end.
 */
function findRings(declaring: readonly Unit[]): void {
  type Node = Unit | Pattern;
  const next = (node: Node): Iterator<Node> =>
    "members" in node
      ? node.members[Symbol.iterator]()
      : [...node.replaces.declared, ...node.followers][Symbol.iterator]();
  const found = new Map<Node, { readonly index: number; low: number; open: boolean }>();
  const stack: Node[] = [];
  let rings = 0;
  const enter = (node: Node) => {
    const mark = { index: found.size, low: found.size, open: true };
    found.set(node, mark);
    stack.push(node);
    return { node, mark, rest: next(node) };
  };
  for (const start of declaring) {
    if (found.has(start)) continue;
    const path = [enter(start)];
    for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
      const { done, value } = step.rest.next();
      if (!done) {
        const known = found.get(value);
        if (known === undefined) path.push(enter(value));
        else if (known.open) step.mark.low = Math.min(step.mark.low, known.index);
        continue;
      }
      path.pop();
      const above = path.at(-1);
      if (above) above.mark.low = Math.min(above.mark.low, step.mark.low);
      if (step.mark.low === step.mark.index) closeRing(step.node);
    }
  }

  function closeRing(first: Node): void {
    rings += 1;
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      const mark = found.get(node);
      if (mark) mark.open = false;
      if (!("members" in node)) node.ring = rings;
      if (node === first) return;
    }
  }
}
