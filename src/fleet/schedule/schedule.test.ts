import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SchedulableMachine, SchedulableUnit } from "../model.ts";
import type { SchedulingInput } from "./board.ts";
import { carriedOut, machine, unit } from "./sample-fleet.ts";
import { type Decision, explain, type SchedulingOptions, schedule } from "./schedule.ts";

const options: SchedulingOptions = { whenIsolated: "keep" };
const gibibyte = 2 ** 30;

function fleet(
  machines: readonly SchedulableMachine[],
  units: readonly SchedulableUnit[],
  more: Partial<SchedulingInput> = {},
): SchedulingInput {
  return { machines, units, now: 0, ...more };
}

/** Decisions in a few words: `a→m1`, `a:m1→m2 draining`, `a:m1→ inactive`. */
function decided(input: SchedulingInput, given = options): string[] {
  return schedule(input, given).decisions.map((one) => shortly(one));
}

function shortly(decision: Decision): string {
  const { unit: name, reason } = decision;
  if (decision.do === "place") return `${name}→${decision.machine}`;
  const [from, to] = decision.do === "move" ? [decision.from, decision.to] : [decision.machine, ""];
  return `${name}:${from}→${to} ${reason.code}`;
}

/** Asks for memory, in GiB. */
function needs(memory: number): { requests: { cpu: number; memory: number } } {
  return { requests: { cpu: 0, memory: memory * gibibyte } };
}

function roomy(id: string, memory: number, more: Partial<SchedulableMachine> = {}): SchedulableMachine {
  return machine(id, { capacity: { cpu: 0, memory: memory * gibibyte }, ...more });
}

describe("choosing a machine", () => {
  const three = [machine("m1"), machine("m2"), machine("m3")];

  test("takes the one with the fewest units, then the lowest id, in the order of submission", () => {
    const units = [
      unit("d", {}, { order: 0 }),
      unit("a", {}, { order: 1 }),
      unit("b", {}, { order: 2 }),
      unit("here", {}, { machine: "m1", order: 3 }),
    ];
    assert.deepEqual(decided(fleet(three, units)), ["d→m2", "a→m3", "b→m1"]);
  });

  test("goes by the share of what is asked for when a unit says what it needs", () => {
    const machines = [roomy("m1", 16), roomy("m2", 8), roomy("m3", 32)];
    const units = [
      unit("x", needs(8), { machine: "m1" }),
      unit("y", needs(12), { machine: "m3" }),
      unit("new", needs(2), {}),
    ];
    // With it: 10 of 16, 2 of 8, 14 of 32.
    assert.deepEqual(decided(fleet(machines, units)), ["new→m2"]);
  });

  test("lets a mean stand in for a capacity that is unknown", () => {
    const machines = [machine("m1"), roomy("m2", 8), roomy("m3", 8)];
    const units = [unit("x", needs(4), { machine: "m1" }), unit("new", needs(1), {})];
    assert.deepEqual(decided(fleet(machines, units)), ["new→m2"]);
  });

  test("follows affinity, and avoids what has a negative weight", () => {
    const machines = [
      machine("m1", { metadata: { disk: "hdd" } }),
      machine("m2", { metadata: { disk: "ssd" } }),
      machine("m3"),
    ];
    const wish = (weight: number, value: string) =>
      unit("new", { affinity: [{ key: "disk", value, weight }] }, { order: 9 });
    const busy = [unit("a", {}, { machine: "m2" }), unit("b", {}, { machine: "m3" })];
    assert.deepEqual(decided(fleet(machines, [...busy, wish(10, "ssd")])), ["new→m2"]);
    assert.deepEqual(decided(fleet(machines, [...busy, wish(-10, "hdd")])), ["new→m2"]);
  });

  test("spreads instances over machines by itself, and over zones when told to", () => {
    const machines = [
      machine("m1", { metadata: { zone: "a" } }),
      machine("m2", { metadata: { zone: "a" } }),
      machine("m3", { metadata: { zone: "b" } }),
    ];
    const crowd = ["x", "y"].map((name) => unit(name, {}, { machine: "m3" }));
    const web = (spread: { key: string; weight: number }[]) =>
      ["web@1.service", "web@2.service"].map((name, order) => unit(name, { spread }, { order }));
    assert.deepEqual(decided(fleet(machines, [...crowd, ...web([])])), [
      "web@1.service→m1",
      "web@2.service→m2",
    ]);
    const byZone = [...crowd, ...web([{ key: "zone", weight: 5 }])];
    assert.deepEqual(decided(fleet(machines, byZone)), ["web@1.service→m1", "web@2.service→m3"]);
  });

  test("places a unit where those that follow it fit, too", () => {
    const machines = [roomy("m1", 4), roomy("m2", 8)];
    const units = [
      unit("db", needs(1), {}),
      unit("app", { ...needs(4), machineOf: ["db"] }, {}),
      unit("big", needs(4), { machine: "m2" }),
    ];
    assert.deepEqual(decided(fleet([...machines, roomy("m3", 16)], units)), ["db→m3", "app→m3"]);
  });
});

describe("leaving a machine", () => {
  test("drains by starting the replacement first, but never two of an exclusive unit", () => {
    const machines = [machine("m1", { cordon: "draining" }), machine("m2")];
    const units = [unit("a", {}, { machine: "m1" }), unit("b", { whenIsolated: "stop" }, { machine: "m1" })];
    const { decisions } = schedule(fleet(machines, units), options);
    assert.deepEqual(decisions.map(shortly), ["a:m1→m2 draining", "b:m1→m2 draining"]);
    assert.deepEqual(
      decisions.map((one) => one.do === "move" && one.startFirst),
      [true, false],
    );
  });

  test("keeps the place of a unit whose machine is gone or drained while no other can take it", () => {
    const machines = [machine("m1", { cordon: "draining" }), machine("m2", { cordon: "cordoned" })];
    const units = [unit("a", {}, { machine: "m1" }), unit("b", {}, { machine: "lost" })];
    const { decisions, waiting } = schedule(fleet(machines, units), options);
    assert.deepEqual(decisions, []);
    assert.deepEqual(
      waiting.map((one) => [one.unit, one.machine, one.reason]),
      [
        ["a", "m1", "no-machine-fits"],
        ["b", "lost", "no-machine-fits"],
      ],
    );
  });

  test("takes followers along, and stops those that cannot follow", () => {
    const machines = [roomy("m1", 8, { cordon: "draining" }), roomy("m2", 2)];
    const units = [
      unit("db", needs(1), { machine: "m1" }),
      unit("app", { ...needs(1), machineOf: ["db"] }, { machine: "m1" }),
      unit("fat", { ...needs(4), machineOf: ["db"] }, { machine: "m1" }),
    ];
    assert.deepEqual(decided(fleet(machines, units)), [
      "fat:m1→ machine-of",
      "db:m1→m2 draining",
      "app:m1→m2 draining",
    ]);
  });

  test("lets those go whose turn comes last when a machine turns out too small", () => {
    const units = [
      unit("first", { ...needs(2), priority: 1 }, { machine: "m1", order: 2 }),
      unit("second", needs(2), { machine: "m1", order: 0 }),
      unit("third", needs(2), { machine: "m1", order: 1 }),
    ];
    assert.deepEqual(decided(fleet([roomy("m1", 4), roomy("m2", 4)], units)), ["third:m1→m2 capacity"]);
  });
});

describe("pushing away", () => {
  test("Replaces= moves the other one away, unless both replace each other", () => {
    const machines = [machine("m1"), machine("m2", { metadata: { old: "yes" } })];
    const onlyHere = { metadata: { old: ["yes"] } };
    const old = unit("old", {}, { machine: "m2" });
    const fresh = unit("new", { ...onlyHere, replaces: ["old"] });
    assert.deepEqual(decided(fleet(machines, [old, fresh])), ["new→m2", "old:m2→m1 replaced"]);
    const mutual = unit("old", { replaces: ["new"] }, { machine: "m2" });
    assert.deepEqual(decided(fleet(machines, [mutual, fresh])), ["new→m2"]);
    const higher = unit("old", { priority: 1 }, { machine: "m2" });
    assert.deepEqual(decided(fleet(machines, [higher, fresh])), []);
  });

  test("a circle of Replaces= comes to rest", () => {
    const units = [
      unit("a", { replaces: ["b"] }),
      unit("b", { replaces: ["c"] }),
      unit("c", { replaces: ["a"] }),
    ];
    assert.deepEqual(decided(fleet([machine("m1")], units)), ["a→m1", "b→m1", "c→m1"]);
  });

  test("a priority alone pushes nobody; with Preempt= the lowest go, and whoever still fits stays", () => {
    const machines = [roomy("m1", 4), roomy("m2", 4)];
    const others = [
      unit("high", { ...needs(2), priority: 2 }, { machine: "m1" }),
      unit("low", { ...needs(2), priority: 0 }, { machine: "m1" }),
      unit("middle", { ...needs(4), priority: 1 }, { machine: "m2" }),
    ];
    const urgent = (preempts: boolean) => unit("urgent", { ...needs(2), priority: 3, preempts });
    assert.deepEqual(decided(fleet(machines, [...others, urgent(false)])), []);
    assert.deepEqual(decided(fleet(machines, [...others, urgent(true)])), ["low:m1→ preempted", "urgent→m1"]);
  });

  test("nobody is pushed away who takes a unit of the same priority along", () => {
    const units = [
      unit("db", needs(2), { machine: "m1" }),
      unit("app", { ...needs(1), priority: 5, machineOf: ["db"] }, { machine: "m1" }),
      unit("urgent", { ...needs(2), priority: 5, preempts: true }, { order: 1 }),
    ];
    assert.deepEqual(decided(fleet([roomy("m1", 4)], units)), []);
  });
});

describe("volumes", () => {
  test("tie their users to the machines that hold them, or to the first one that is placed", () => {
    const machines = [machine("m1"), machine("m2", { volumes: ["data"] })];
    const uses = (name: string, volume: string, order: number) =>
      unit(name, { volumes: [volume] }, { order });
    const units = [uses("a", "data", 0), uses("b", "data", 1), uses("c", "fresh", 2), uses("d", "fresh", 3)];
    assert.deepEqual(decided(fleet(machines, units)), ["a→m2", "b→m2", "c→m1", "d→m1"]);
  });

  test("keep their users waiting while the machines that hold them are not there", () => {
    const input = fleet([machine("m1")], [unit("a", { volumes: ["data"] })], { lostVolumes: ["data"] });
    assert.deepEqual(decided(input), []);
    assert.match(schedule(input, options).waiting[0]?.refusals[0]?.sentence ?? "", /volume data is not here/);
  });
});

describe("global units", () => {
  test("run wherever they fit, and leave where they do not", () => {
    const machines = [
      machine("m1", { metadata: { role: "web" } }),
      machine("m2"),
      machine("m3", { metadata: { role: "web" } }),
    ];
    const units = [unit("agent", { global: true, metadata: { role: ["web"] } })];
    const globals = new Map([["agent", ["m1", "m2"]]]);
    assert.deepEqual(decided(fleet(machines, units, { globals })), ["agent:m2→ metadata", "agent→m3"]);
  });

  test("leavings of those that are no more are taken away", () => {
    const globals = new Map([
      ["destroyed", ["m1"]],
      ["single", ["m1"]],
    ]);
    assert.deepEqual(decided(fleet([machine("m1")], [unit("single")], { globals })), [
      "destroyed:m1→ no-such-unit",
      "single:m1→ not-global",
      "single→m1",
    ]);
  });
});

describe("evening out", () => {
  const crowd = (count: number, on: string, more = {}) =>
    Array.from({ length: count }, (_, index) => unit(`${on}-${index}`, more, { machine: on, order: index }));

  test("moves a few units to a machine that came back, when asked to, and then rests", () => {
    const machines = ["m1", "m2", "m3"].map((id) => machine(id));
    const input = fleet(machines, [...crowd(4, "m1"), ...crowd(4, "m2")]);
    assert.deepEqual(decided(input), []);
    const gentle: SchedulingOptions = { ...options, rebalance: { maxMoves: 2 } };
    const outcome = schedule(input, gentle);
    assert.deepEqual(outcome.decisions.map(shortly), ["m1-3:m1→m3 rebalance", "m2-3:m2→m3 rebalance"]);
    assert.deepEqual(decided(carriedOut(input, outcome.decisions), gentle), []);
  });

  test("leaves exclusive units alone unless told not to", () => {
    const input = fleet([machine("m1"), machine("m2")], crowd(2, "m1", { whenIsolated: "stop" }));
    assert.deepEqual(decided(input, { ...options, rebalance: { maxMoves: 1 } }), []);
    const all: SchedulingOptions = { ...options, rebalance: { maxMoves: 1, exclusive: true } };
    assert.deepEqual(decided(input, all), ["m1-1:m1→m2 rebalance"]);
  });
});

describe("explaining", () => {
  test("names what a unit waits for", () => {
    const units = [
      unit("self", { machineOf: ["self"] }),
      unit("round", { machineOf: ["about"] }),
      unit("about", { machineOf: ["round"] }),
      unit("behind", { machineOf: ["round"] }),
      unit("lonely", { machineOf: ["nobody"] }),
      unit("off", {}, { target: "inactive" }),
      unit("late", { machineOf: ["off"] }),
      unit("x", { machineId: "m1" }),
      unit("y", { machineId: "m2" }),
      unit("both", { machineOf: ["x", "y"] }),
    ];
    const { waiting } = schedule(fleet([machine("m1"), machine("m2")], units), options);
    const reasons = Object.fromEntries(waiting.map((one) => [one.unit, one.reason]));
    assert.deepEqual(reasons, {
      ...{ self: "circle", round: "circle", about: "circle", behind: "target-waiting" },
      ...{ lonely: "target-missing", late: "target-inactive", both: "targets-apart" },
    });
    const round = waiting.find((one) => one.unit === "round");
    assert.equal(round?.sentence, "round waits: its MachineOf= goes in a circle: round → about → round");
  });

  test("counts machines together that refuse for one reason", () => {
    const machines = [roomy("m1", 4), roomy("m2", 6), roomy("m3", 99, { cordon: "cordoned" })];
    const { waiting } = schedule(fleet(machines, [unit("big", needs(8))]), options);
    assert.deepEqual(
      waiting[0]?.refusals.map(({ sentence }) => sentence),
      [
        "m1, m2: too little memory left: it asks for 8 GiB, at most 6 GiB free",
        "m3: cordoned: takes no new units",
      ],
    );
  });

  test("shows why there, why not elsewhere", () => {
    const machines = [
      machine("m1"),
      machine("m2"),
      machine("m3", { metadata: { zone: "b" } }),
      machine("m4"),
    ];
    const units = [
      unit("web", { conflicts: ["db"], metadata: {} }, { machine: "m1" }),
      unit("db", {}, { machine: "m2" }),
      unit("x", {}, { machine: "m3" }),
    ];
    const explanation = explain(fleet(machines, units), "web", options);
    assert.deepEqual(explanation?.machines, ["m1"]);
    assert.deepEqual(
      explanation?.verdicts.map((one) => [one.machine, one.code, one.sentence]),
      [
        ["m1", "here", "it is here (0 other units)"],
        ["m4", "allowed", "it may run here (0 other units)"],
        ["m3", "allowed", "it may run here (1 other unit)"],
        ["m2", "conflict", "conflicts with db"],
      ],
    );
    assert.equal(explain(fleet(machines, units), "nobody", options), null);
  });

  test("says in a sentence what is decided", () => {
    const machines = [machine("m1"), machine("m2", { cordon: "draining" })];
    const units = [unit("a", {}, { machine: "m2" }), unit("b", { machineOf: ["a"] }, { machine: "m2" })];
    assert.deepEqual(
      schedule(fleet(machines, units), options).decisions.map(({ sentence }) => sentence),
      [
        "a moves from m2 to m1: m2 is being drained; m1 is the only machine that may run it",
        "b moves from m2 to m1: m2 is being drained; m1 is where a is",
      ],
    );
  });

  test("two of one name are refused", () => {
    assert.throws(() => schedule(fleet([], [unit("a"), unit("a")]), options), RangeError);
  });
});
