import Type from "typebox";
import type { PlacementRules, SchedulableMachine, SchedulableUnit } from "../src/fleet/model.ts";
import type { SchedulingInput } from "../src/fleet/schedule/board.ts";
import { carriedOut, machine, unit } from "../src/fleet/schedule/sample-fleet.ts";
import { type Outcome, schedule } from "../src/fleet/schedule/schedule.ts";
import { defineBench, median, repeat, timed } from "./harness.ts";
import { seconds, table } from "./table.ts";

const runs = 7;
const sizes = [
  [10, 100],
  [100, 1000],
  [1000, 10_000],
] as const;

/** How long the scheduler thinks: no etcd, no machine, one thread. */
export const scheduling = defineBench({
  name: "schedule",
  figures: Type.Object({
    rows: Type.Array(
      Type.Object({
        situation: Type.String(),
        machines: Type.Integer(),
        units: Type.Integer(),
        decisions: Type.Integer(),
        median: Type.Number(),
        goal: Type.String(),
      }),
    ),
  }),
  measure: async () => {
    const rows = [];
    for (const [machines, units] of sizes) {
      for (const { situation, input, goal } of situations(machines, units)) {
        const taken = await repeat(runs, () => timed(async () => schedule(input, options)));
        const decisions = taken[0]?.value.decisions.length ?? 0;
        const middle = median(taken.map((run) => run.seconds));
        rows.push({
          situation,
          machines,
          units,
          decisions,
          median: middle,
          goal: machines === 1000 ? goal : "",
        });
      }
    }
    return { rows };
  },
  render: ({ rows }) =>
    table(
      ["machines", "units", "situation", "decisions", `middle of ${runs}`, "goal"],
      rows.map(({ machines, units, situation, decisions, median: middle, goal }) => [
        ...[machines, units].map((count) => count.toLocaleString("en")),
        ...[situation, decisions.toLocaleString("en"), seconds(middle), goal],
      ]),
    ),
});

const options = { whenIsolated: "keep" } as const;

interface Situation {
  readonly situation: string;
  readonly input: SchedulingInput;
  readonly goal: string;
}

function situations(machines: number, units: number): Situation[] {
  const plain = makeFleet(machines, units, () => ({}));
  const mixed = makeFleet(machines, units, mixedRules);
  const settled = after(mixed, schedule(mixed, options));
  const dying = Math.ceil(machines / 20);
  const full = after(mixed, schedule({ ...mixed, machines: mixed.machines.slice(0, machines / 2) }, options));
  return [
    { situation: "nothing placed, units that ask for nothing", input: plain, goal: "1 s" },
    { situation: "nothing placed, a mixed fleet", input: mixed, goal: "1 s" },
    { situation: "nothing to change", input: settled, goal: "100 ms" },
    {
      situation: `${dying} machine${dying === 1 ? "" : "s"} died`,
      input: { ...settled, machines: settled.machines.slice(dying) },
      goal: "",
    },
    {
      situation: "one machine is drained",
      input: { ...settled, machines: settled.machines.map((one, index) => drained(one, index)) },
      goal: "",
    },
    {
      situation: "full: some wait, nothing to change",
      input: { ...full, machines: mixed.machines.slice(0, machines / 2) },
      goal: "",
    },
  ];
}

function drained(one: SchedulableMachine, index: number): SchedulableMachine {
  return index === 0 ? { ...one, cordon: "draining" } : one;
}

function after(input: SchedulingInput, { decisions }: Outcome): SchedulingInput {
  return carriedOut(input, decisions);
}

function makeFleet(
  machines: number,
  units: number,
  rules: (index: number) => Partial<PlacementRules>,
): SchedulingInput {
  return {
    machines: Array.from({ length: machines }, (_, index) =>
      machine(`${index.toString(16).padStart(8, "0")}${"0".repeat(24)}`, {
        metadata: { zone: `z${index % 3}`, disk: index % 4 === 0 ? "ssd" : "hdd" },
        capacity: { cpu: 16_000, memory: 64e9 },
      }),
    ),
    units: Array.from({ length: units }, (_, index): SchedulableUnit => {
      const name = `app${Math.floor(index / 20)}@${index % 20}.service`;
      return unit(name, rules(index), { order: index });
    }),
    now: 0,
  };
}

/** One in ten each of what costs: conflicts within a template, metadata, followers, affinity and spreading over zones. */
function mixedRules(index: number): Partial<PlacementRules> {
  const template = Math.floor(index / 20);
  const requests = { cpu: 500 + 100 * (template % 10), memory: 1e9 * (1 + (template % 5)) };
  switch (template % 10) {
    case 0:
      return { requests, conflicts: [`app${template}@*.service`] };
    case 1:
      return { requests, metadata: { disk: ["ssd"] } };
    case 2:
      return index % 2 === 0
        ? { requests }
        : { requests, machineOf: [`app${template}@${(index % 20) - 1}.service`] };
    case 3:
      return {
        requests,
        affinity: [{ key: "disk", value: "ssd", weight: 20 }],
        spread: [{ key: "zone", weight: 5 }],
      };
    case 4:
      return { requests, priority: 10, preempts: true };
    default:
      return { requests };
  }
}
