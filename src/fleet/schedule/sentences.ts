/** What the scheduler says to people. */
import type { Machine, Unit } from "./board.ts";
import type { Obstacle } from "./filter.ts";
import type { Choice, Score } from "./score.ts";
import type { Departure } from "./settle.ts";

/** What stands against `unit`, of the machines that it is the same for. */
export function describe(unit: Unit, against: Obstacle, machines: readonly Machine[]): string {
  const { rules } = unit;
  switch (against.code) {
    case "circle":
      return "its MachineOf= goes in a circle";
    case "gone":
      return "gone";
    case "cordoned":
      return "cordoned: takes no new units";
    case "draining":
      return "being drained: takes no new units";
    case "machine-id":
      return `not the machine that MachineID=${rules.machineId} names`;
    case "metadata": {
      const values = rules.metadata[against.key] ?? [];
      return `metadata has not ${values.map((value) => `${against.key}=${value}`).join(" or ")}`;
    }
    case "volume":
      return `the volume ${against.volume} is not here`;
    case "machine-of":
      return `${against.by} is not here, which it follows by MachineOf=`;
    case "conflict":
      return `conflicts with ${against.by}`;
    case "replaced":
      return `${against.by} is here, which replaces it`;
    case "capacity":
      return shortageText(unit, against.resource, machines);
  }
}

const resourceNames = { cpu: "processors", memory: "memory" } as const;

function shortageText(unit: Unit, resource: "cpu" | "memory", machines: readonly Machine[]): string {
  const free = machines.map((machine) => (machine.facts?.capacity[resource] ?? 0) - machine[resource]);
  const most = Math.max(0, ...free);
  const show = resource === "cpu" ? cores : bytes;
  const at = machines.length > 1 ? "at most " : "";
  return `too little ${resourceNames[resource]} left: it asks for ${show(unit.rules.requests[resource])}, ${at}${show(most)} free`;
}

/** Why `unit` left `from`, as the end of a sentence. */
export function departureText(unit: Unit, from: Machine, departure: Departure): string {
  switch (departure.code) {
    case "gone":
      return `${from.id} is gone`;
    case "draining":
      return `${from.id} is being drained`;
    case "machine-id":
    case "metadata":
    case "volume":
    case "circle":
    case "machine-of":
    case "conflict":
    case "replaced":
      return describe(unit, departure, [from]).replace(" here", ` on ${from.id}`);
    case "capacity":
      return `${from.id} has too little ${resourceNames[departure.resource]} for all that was placed on it`;
    case "preempted":
      return `${departure.by} has a higher priority and needs the place`;
    case "rebalance":
      return `${from.id} is clearly fuller`;
  }
}

/** How `choice` came about, as the end of a sentence. */
export function choiceText(unit: Unit, { among, preferred, points, load }: Choice): string {
  const followed = [...unit.targets].map(({ name }) => name).join(", ");
  if (followed !== "") return `where ${followed} is`;
  if (among === 1) return "the only machine that may run it";
  if (preferred) return `the most preferred of ${among} machines (${counted(points, "point")})`;
  return `the least loaded of ${among} machines (${scored(unit, { points: 0, load })})`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${Math.abs(count) === 1 ? "" : "s"}`;
}

function cores(thousandths: number): string {
  return counted(thousandths / 1000, "core");
}

function bytes(count: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [count, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${Math.round(value * 10) / 10} ${units[unit]}`;
}

/** A score as a few words. */
export function scored(unit: Unit, { points, load }: Score): string {
  const { cpu, memory } = unit.rules.requests;
  const full =
    cpu > 0 || memory > 0
      ? `${Math.round(load * 100)} % asked for with it`
      : `${counted(load, "other unit")}`;
  return points === 0 ? full : `${counted(points, "point")}, ${full}`;
}
