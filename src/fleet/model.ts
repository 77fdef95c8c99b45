/** What a person wants of a unit; fleet's three words. */
export type TargetState = "inactive" | "loaded" | "launched";
/** CPU in thousandths of a core, memory in bytes. */
export interface Resources {
  readonly cpu: number;
  readonly memory: number;
}
/** What a unit asks of the machine that it is placed on: [X-Fleet] and [X-Atoll], specifiers replaced. */
export interface PlacementRules {
  readonly global: boolean;
  /** Full machine id, or its first 8 characters. */
  readonly machineId: string | null;
  /** Units that must be on the same machine. */
  readonly machineOf: readonly string[];
  /** All keys must match; a key matches with any of its values. */
  readonly metadata: Readonly<Record<string, readonly string[]>>;
  /** Globs of unit names (path.Match). */
  readonly conflicts: readonly string[];
  readonly replaces: readonly string[];
  readonly requests: Resources;
  /** Higher goes first, and may push lower ones out when `preempts`. Default 0. */
  readonly priority: number;
  readonly preempts: boolean;
  /** Soft: machines with this metadata are preferred by `weight` (1..100; negative: avoided). */
  readonly affinity: readonly { readonly key: string; readonly value: string; readonly weight: number }[];
  /** Soft: instances of the same template (or units matching `of`) spread evenly over the values of metadata `key`; key "machine" means machines themselves. */
  readonly spread: readonly { readonly key: string; readonly weight: number }[];
  /** `stop`: stops itself whenever its lease is lost. `keep`: its owner prefers availability. null: the fleet's default. */
  readonly whenIsolated: "keep" | "stop" | null;
  /** Named volumes that tie the unit to the machine which holds them. */
  readonly volumes: readonly string[];
  /** Dependencies on units that may run on other machines. */
  readonly after: readonly string[];
  readonly requires: readonly string[];
  readonly bindsTo: readonly string[];
}
/** A machine as the scheduler sees it. Only machines whose lease lives are given to it. */
export interface SchedulableMachine {
  readonly id: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly capacity: Resources;
  /** Takes no new units; `drain`: its units are to leave it, too. */
  readonly cordon: "none" | "cordoned" | "draining";
  /** Volumes that it holds. */
  readonly volumes: readonly string[];
}
/** A unit as the scheduler sees it. */
export interface SchedulableUnit {
  readonly name: string;
  readonly target: TargetState;
  readonly rules: PlacementRules;
  /** Where it is placed now; null when nowhere. Not for global units. */
  readonly machine: string | null;
  /** Sequence of its first submission: ties are broken by it, then by name. */
  readonly order: number;
}
