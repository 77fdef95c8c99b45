/** Fleets for tests and benches: machines and units of which only what matters is said. */
import type { PlacementRules, SchedulableMachine, SchedulableUnit } from "../model.ts";
import type { SchedulingInput } from "./board.ts";
import type { Decision } from "./schedule.ts";

/** A machine of unknown capacity that takes units. */
export function machine(id: string, more: Partial<SchedulableMachine> = {}): SchedulableMachine {
  return { id, metadata: {}, capacity: { cpu: 0, memory: 0 }, cordon: "none", volumes: [], ...more };
}

/** A launched unit that asks for nothing. */
export function unit(
  name: string,
  rules: Partial<PlacementRules> = {},
  more: Partial<Omit<SchedulableUnit, "name" | "rules">> = {},
): SchedulableUnit {
  return {
    ...{ name, target: "launched", machine: null, order: 0 },
    ...more,
    rules: {
      ...{ global: false, machineId: null, machineOf: [], metadata: {}, conflicts: [], replaces: [] },
      ...{ requests: { cpu: 0, memory: 0 }, priority: 0, preempts: false, affinity: [], spread: [] },
      ...{ whenIsolated: null, volumes: [], after: [], requires: [], bindsTo: [] },
      ...rules,
    },
  };
}

/** The input of the next run, when the decisions of this one have been carried out. */
export function carriedOut(input: SchedulingInput, decisions: readonly Decision[]): SchedulingInput {
  const units = new Map(input.units.map((one) => [one.name, one]));
  const globals = new Map(input.globals);
  const change = (name: string, from: string | null, to: string | null): void => {
    const one = units.get(name);
    if (one && one.machine === from && !(one.rules.global && from === null)) {
      units.set(name, { ...one, machine: to });
    } else {
      const rest = (globals.get(name) ?? []).filter((id) => id !== from);
      globals.set(name, to === null ? rest : [...rest, to]);
    }
  };
  for (const decision of decisions) {
    if (decision.do === "place") change(decision.unit, null, decision.machine);
    else if (decision.do === "move") change(decision.unit, decision.from, decision.to);
    else change(decision.unit, decision.machine, null);
  }
  return { ...input, units: [...units.values()], globals };
}
