/** Random fleets for the tests of the scheduler's laws. */
import fc from "fast-check";
import type { PlacementRules, Resources, SchedulableMachine, SchedulableUnit } from "../model.ts";
import type { SchedulingInput } from "./board.ts";
import { machine, unit } from "./sample-fleet.ts";

const ids = ["m1-00000001", "m2-00000002", "m3-00000003", "m4-00000004"];
const names = [
  "a.service",
  "b.service",
  "c.service",
  "d.service",
  "w@1.service",
  "w@2.service",
  "w@3.service",
];
const globs = [...names, "w@*", "[ab].service", "*", "nobody.service"];

const resources: fc.Arbitrary<Resources> = fc.record({
  cpu: fc.constantFrom(0, 0, 1, 2, 3),
  memory: fc.constantFrom(0, 0, 1, 2),
});
const someOf = (values: readonly string[], maxLength: number): fc.Arbitrary<string[]> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<string[]>([]) },
    { weight: 1, arbitrary: fc.subarray([...values], { maxLength }) },
  );
const metadata = fc.constantFrom<Record<string, string>>(
  {},
  { zone: "1" },
  { zone: "2" },
  { zone: "2", ssd: "y" },
);
const machineArbitrary = (id: string): fc.Arbitrary<SchedulableMachine> =>
  fc
    .record({
      metadata,
      capacity: fc.record({ cpu: fc.constantFrom(0, 3, 5), memory: fc.constantFrom(0, 2, 4) }),
      cordon: fc.constantFrom("none", "none", "none", "cordoned", "draining"),
      volumes: someOf(["data", "logs"], 2),
    })
    .map((more) => machine(id, more));

const rulesArbitrary: fc.Arbitrary<Partial<PlacementRules>> = fc.record(
  {
    machineId: fc.constantFrom(ids[0] ?? "", ids[1]?.slice(0, 8) ?? "", "nowhere"),
    machineOf: someOf(names, 2),
    metadata: fc.constantFrom<PlacementRules["metadata"]>({}, { zone: ["1", "2"] }, { ssd: ["y"] }),
    conflicts: someOf(globs, 2),
    replaces: someOf(globs, 2),
    requests: resources,
    priority: fc.constantFrom(0, 0, 1, 2),
    preempts: fc.boolean(),
    affinity: fc.constantFrom([], [{ key: "zone", value: "2", weight: 30 }]),
    spread: fc.constantFrom([], [{ key: "zone", weight: 5 }]),
    volumes: someOf(["data", "logs", "lost", "fresh"], 1),
  },
  { requiredKeys: [] },
);

const unitArbitrary: fc.Arbitrary<SchedulableUnit> = fc
  .record({
    name: fc.constantFrom(...names),
    global: fc.constantFrom(false, false, false, false, true),
    rules: rulesArbitrary,
    target: fc.constantFrom("launched", "launched", "launched", "loaded", "inactive"),
    machine: fc.constantFrom(null, null, ...ids, "gone"),
    order: fc.nat({ max: 3 }),
  })
  .map(({ name, global, rules, ...more }) => {
    // What a unit file may not say together with Global=.
    const alone = { global, machineOf: [], replaces: [], machineId: null };
    return unit(name, global ? { ...rules, ...alone } : rules, global ? { ...more, machine: null } : more);
  });

/** Random fleets: small, so that what is random meets. */
export const fleets: fc.Arbitrary<SchedulingInput> = fc
  .record({
    machines: fc.subarray(ids).chain((chosen) => fc.tuple(...chosen.map(machineArbitrary))),
    units: fc.uniqueArray(unitArbitrary, { selector: ({ name }) => name, maxLength: names.length }),
    places: fc.array(fc.subarray([...ids, "gone"]), { minLength: names.length, maxLength: names.length }),
  })
  .map(({ machines, units, places }) => ({
    ...{ machines, units, now: 0, lostVolumes: ["lost"] },
    globals: new Map(
      units.flatMap(({ name, rules }, index) => (rules.global ? [[name, places[index] ?? []]] : [])),
    ),
  }));
