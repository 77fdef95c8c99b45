/** The scheduler's laws, each as this file reads them, upon random fleets. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { SchedulableMachine, SchedulableUnit } from "../model.ts";
import { matchesGlob } from "../unit/glob.ts";
import type { SchedulingInput } from "./board.ts";
import { fleets } from "./random-fleets.ts";
import { carriedOut } from "./sample-fleet.ts";
import { type Decision, type Outcome, type SchedulingOptions, schedule } from "./schedule.ts";

const runs = { numRuns: 2000 };
const options: SchedulingOptions = { whenIsolated: "keep" };

// The rules, read as simply as can be.

interface Placed {
  readonly unit: SchedulableUnit;
  readonly machine: string;
}

function placements(input: SchedulingInput): Placed[] {
  return input.units.flatMap((one) => {
    if (one.rules.global)
      return (input.globals?.get(one.name) ?? []).map((id) => ({ unit: one, machine: id }));
    return one.machine === null ? [] : [{ unit: one, machine: one.machine }];
  });
}

function next(input: SchedulingInput, { decisions }: Outcome): SchedulingInput {
  return carriedOut(input, decisions);
}

function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matchesGlob(pattern, name));
}

function inConflict(a: SchedulableUnit, b: SchedulableUnit): boolean {
  return (
    a.name !== b.name && (matchesAny(a.rules.conflicts, b.name) || matchesAny(b.rules.conflicts, a.name))
  );
}

/** Whether `a` replaces `b`, and no way of "replaces" or "is followed by" leads back from `b` to `a`. */
function movesAway(a: SchedulableUnit, b: SchedulableUnit, input: SchedulingInput): boolean {
  const active = input.units.filter(({ target }) => target !== "inactive");
  const declares = (x: SchedulableUnit, y: SchedulableUnit): boolean =>
    x.name !== y.name && !x.rules.global && matchesAny(x.rules.replaces, y.name);
  if (!declares(a, b)) return false;
  const reached = new Set([b]);
  for (const one of reached) {
    for (const other of active) {
      const follows = !other.rules.global && other.rules.machineOf.includes(one.name);
      if (declares(one, other) || follows) reached.add(other);
    }
  }
  return !reached.has(a);
}

/** Why `one` may not be on the machine, whoever is there. */
function misfit(one: SchedulableUnit, at: SchedulableMachine, input: SchedulingInput): string | null {
  const { rules } = one;
  if (rules.machineId !== null && rules.machineId !== at.id && rules.machineId !== at.id.slice(0, 8))
    return "machine-id";
  for (const [key, values] of Object.entries(rules.metadata)) {
    const value = at.metadata[key];
    if (value === undefined || !values.includes(value)) return "metadata";
  }
  for (const volume of rules.global ? [] : rules.volumes) {
    const isSomewhere = input.machines.some(({ volumes }) => volumes.includes(volume));
    const isLost = input.lostVolumes?.includes(volume) ?? false;
    if ((isSomewhere || isLost) && !at.volumes.includes(volume)) return "volume";
  }
  return null;
}

/** Why `one` may not be on the machine together with `others`. */
function misfitAmong(
  one: SchedulableUnit,
  at: SchedulableMachine,
  others: readonly SchedulableUnit[],
  input: SchedulingInput,
): string | null {
  const there = others.filter(({ name }) => name !== one.name);
  const wrong = misfit(one, at, input);
  if (wrong !== null) return wrong;
  const isHere = (name: string): boolean => there.some((other) => other.name === name);
  if (!one.rules.global && !one.rules.machineOf.every(isHere)) return "machine-of";
  if (there.some((other) => inConflict(one, other))) return "conflict";
  if (there.some((other) => movesAway(one, other, input) || movesAway(other, one, input))) return "replaced";
  for (const resource of ["cpu", "memory"] as const) {
    const capacity = at.capacity[resource];
    const asked = [one, ...there].reduce((sum, { rules }) => sum + rules.requests[resource], 0);
    if (one.rules.requests[resource] > 0 && capacity > 0 && asked > capacity) return "capacity";
  }
  return null;
}

function unitsOn(input: SchedulingInput, id: string): SchedulableUnit[] {
  return placements(input).flatMap((placed) => (placed.machine === id ? [placed.unit] : []));
}

function without(one: SchedulableUnit, what: "preempts" | "replaces"): SchedulableUnit {
  return { ...one, rules: { ...one.rules, [what]: what === "preempts" ? false : [] } };
}

/** The fleet with one newcomer of the highest priority, who alone may push, and with half of the machines' room. */
function oneOfThemPushes(input: SchedulingInput): {
  input: SchedulingInput;
  pusher: SchedulableUnit | undefined;
} {
  const first = input.units.find(({ rules, target }) => !rules.global && target !== "inactive");
  const pusher = first && {
    ...without(first, "replaces"),
    machine: null,
    rules: {
      ...first.rules,
      replaces: [],
      machineId: null,
      metadata: {},
      volumes: [],
      priority: 3,
      preempts: true,
    },
  };
  const units = input.units.map((one) => {
    return one.name === pusher?.name ? pusher : without(without(one, "preempts"), "replaces");
  });
  const tight = { cpu: 2, memory: 2 };
  return {
    input: { ...input, units, machines: input.machines.map((one) => ({ ...one, capacity: tight })) },
    pusher,
  };
}

/** A unit that uses a volume nobody reports yet ties the others that use it to where it is. */
function tiedElsewhere(one: SchedulableUnit, id: string, input: SchedulingInput): boolean {
  return (one.rules.global ? [] : one.rules.volumes).some((volume) => {
    if (input.machines.some(({ volumes }) => volumes.includes(volume))) return false;
    const users = placements(input).filter(
      ({ unit: { rules } }) => !rules.global && rules.volumes.includes(volume),
    );
    return users.length > 0 && !users.some(({ machine: at }) => at === id);
  });
}

function mayGo(one: SchedulableUnit, at: SchedulableMachine, input: SchedulingInput): boolean {
  return (
    at.cordon === "none" &&
    misfitAmong(one, at, unitsOn(input, at.id), input) === null &&
    !tiedElsewhere(one, at.id, input)
  );
}

function law(
  name: string,
  holds: (input: SchedulingInput, after: SchedulingInput, outcome: Outcome) => void,
): void {
  test(name, () => {
    fc.assert(
      fc.property(fleets, (input) => {
        const outcome = schedule(input, options);
        holds(input, next(input, outcome), outcome);
      }),
      runs,
    );
  });
}

function leavings({ decisions }: Outcome): Exclude<Decision, { do: "place" }>[] {
  return decisions.filter((decision) => decision.do !== "place");
}

describe("the scheduler", () => {
  law("decides at most once on each unit, on each machine for a global one", (_, __, { decisions }) => {
    const keys = decisions.map((one) => ("machine" in one ? `${one.unit} ${one.machine}` : one.unit));
    assert.equal(new Set(keys).size, keys.length);
  });

  law("leaves every unit on a machine that fits it, with those that go with it", (_, after) => {
    for (const { unit: one, machine: id } of placements(after)) {
      assert.notEqual(one.target, "inactive", one.name);
      const at = after.machines.find((candidate) => candidate.id === id);
      if (at) assert.equal(misfitAmong(one, at, unitsOn(after, id), after), null, `${one.name} on ${id}`);
    }
  });

  law("moves and takes away only for a reason that is there", (input, after, outcome) => {
    for (const decision of leavings(outcome)) {
      const one = input.units.find(({ name }) => name === decision.unit);
      const id = decision.do === "move" ? decision.from : decision.machine;
      const at = input.machines.find((candidate) => candidate.id === id);
      const by = input.units.find(({ name }) => name === decision.reason.by);
      assert.ok(one);
      const { code } = decision.reason;
      if (code === "inactive") assert.equal(one.target, "inactive");
      else if (code === "gone") assert.equal(at, undefined);
      else if (code === "draining") assert.equal(at?.cordon, "draining");
      else if (code === "machine-id" || code === "metadata" || code === "volume") {
        assert.equal(at && misfit(one, at, input), code);
      } else if (code === "capacity") {
        assert.equal(
          at && misfitAmong(one, at, [...unitsOn(input, id), ...unitsOn(after, id)], input) === null,
          false,
        );
      } else if (code === "conflict") assert.ok(by && (inConflict(one, by) || movesAway(one, by, input)));
      else if (code === "replaced") assert.ok(by && movesAway(by, one, input));
      else if (code === "preempted") assert.ok(by?.rules.preempts && by.rules.priority > one.rules.priority);
      else if (code === "machine-of") assert.ok(one.rules.machineOf.includes(decision.reason.by ?? ""));
      else assert.equal(code, "circle");
    }
  });

  law("moves nothing that is well where it is, when nobody is pushed away", (input, _, outcome) => {
    const wellPlaced = placements(input).every(({ unit: one, machine: id }) => {
      const at = input.machines.find((candidate) => candidate.id === id);
      const fits = at && at.cordon !== "draining" && misfitAmong(one, at, unitsOn(input, id), input) === null;
      return one.target !== "inactive" && fits;
    });
    const pushing = input.units.some(({ rules }) => rules.preempts || rules.replaces.length > 0);
    fc.pre(wellPlaced && !pushing);
    assert.deepEqual(leavings(outcome), []);
  });

  law("lets wait only whom no machine may take", (_, after) => {
    for (const one of after.units) {
      if (one.target === "inactive" || one.rules.global) continue;
      const at = after.machines.find(({ id }) => id === one.machine);
      if (at && at.cordon !== "draining") continue;
      for (const candidate of after.machines) {
        if (candidate.id !== one.machine)
          assert.ok(!mayGo(one, candidate, after), `${one.name} on ${candidate.id}`);
      }
    }
  });

  law("runs a global unit on every machine that may take it", (_, after) => {
    for (const one of after.units) {
      if (one.target === "inactive" || !one.rules.global) continue;
      const on = after.globals?.get(one.name) ?? [];
      for (const at of after.machines) {
        if (on.includes(at.id)) assert.notEqual(at.cordon, "draining");
        else assert.ok(!mayGo(one, at, after), `${one.name} on ${at.id}`);
      }
    }
  });

  law("gives cordoned and draining machines nothing", ({ machines }, _, { decisions }) => {
    for (const decision of decisions) {
      const id = decision.do === "place" ? decision.machine : decision.do === "move" ? decision.to : null;
      if (id !== null) assert.equal(machines.find((one) => one.id === id)?.cordon, "none");
    }
  });

  law("names every unit that waits, with a refusal for each machine", (_, after, { waiting }) => {
    const placed = new Map(placements(after).map((one) => [one.unit.name, one.machine]));
    for (const { name, target, rules } of after.units) {
      const id = placed.get(name);
      const at = after.machines.find((one) => one.id === id);
      const rests = id !== undefined && (rules.global || (at && at.cordon !== "draining"));
      const entry = waiting.find((one) => one.unit === name);
      assert.equal(entry !== undefined, target !== "inactive" && !rests, name);
      if (entry === undefined) continue;
      const refused = entry.refusals.reduce((sum, { count }) => sum + count, 0);
      assert.equal(refused, after.machines.length - (at ? 1 : 0));
    }
  });

  law("has nothing to decide when its decisions have been carried out", (_, after, { waiting }) => {
    const again = schedule(after, options);
    assert.deepEqual(again.decisions, []);
    assert.deepEqual(again.waiting, waiting);
  });

  test("pushes away by priority only when there is no other place, and as few as can be", () => {
    const crowded = fleets.map((input) => oneOfThemPushes(input));
    fc.assert(
      fc.property(crowded, ({ input, pusher }) => {
        fc.pre(pusher !== undefined);
        const outcome = schedule(input, options);
        const pushed = leavings(outcome).filter(({ reason }) => reason.code === "preempted");
        if (pushed.length === 0) return;
        const tame = { ...input, units: input.units.map((one) => without(one, "preempts")) };
        assert.equal(
          next(tame, schedule(tame, options)).units.find(({ name }) => name === pusher?.name)?.machine,
          null,
        );
        const after = next(input, outcome);
        const id = after.units.find(({ name }) => name === pusher?.name)?.machine;
        const at = after.machines.find((one) => one.id === id);
        assert.ok(pusher && at);
        const stayed = unitsOn(input, at.id).filter(({ name }) =>
          unitsOn(after, at.id).some((one) => one.name === name),
        );
        for (const { unit: name } of pushed) {
          const back = input.units.find((one) => one.name === name);
          assert.ok(back);
          const together = [...stayed, back, pusher];
          const all = together.map((one) => misfitAmong(one, at, together, input));
          assert.ok(
            all.some((wrong) => wrong !== null),
            `${name} could have stayed`,
          );
        }
      }),
      runs,
    );
  });

  test("gives the same outcome whatever the order of its input", () => {
    const shuffled = fleets.chain((input) =>
      fc.record({
        input: fc.constant(input),
        machines: fc.shuffledSubarray([...input.machines], { minLength: input.machines.length }),
        units: fc.shuffledSubarray([...input.units], { minLength: input.units.length }),
      }),
    );
    fc.assert(
      fc.property(shuffled, ({ input, machines, units }) => {
        const globals = new Map(
          [...(input.globals ?? [])].toReversed().map(([name, on]) => [name, on.toReversed()]),
        );
        assert.deepEqual(schedule({ ...input, machines, units, globals }, options), schedule(input, options));
      }),
      runs,
    );
  });

  test("evens out a fleet at rest, a few moves at a time, and comes to rest again", () => {
    fc.assert(
      fc.property(fleets, fc.integer({ min: 1, max: 3 }), (input, maxMoves) => {
        const gentle: SchedulingOptions = { ...options, rebalance: { maxMoves } };
        let state = next(input, schedule(input, options));
        for (let turn = 0; ; turn++) {
          const outcome = schedule(state, gentle);
          if (outcome.decisions.length === 0) return;
          assert.ok(turn < 30, "still moving");
          if (leavings(outcome).some(({ reason }) => reason.code === "rebalance")) {
            assert.ok(outcome.decisions.length <= maxMoves);
          }
          state = next(state, outcome);
          for (const { unit: one, machine: id } of placements(state)) {
            const at = state.machines.find((candidate) => candidate.id === id);
            if (at) assert.equal(misfitAmong(one, at, unitsOn(state, id), state), null);
          }
        }
      }),
      runs,
    );
  });
});
