/** Names of units: which are valid, what their parts are, and which of them a fleet can start. */
import { AtollError } from "../../errors.ts";
import type { TargetState } from "../model.ts";
import { quoted } from "./problem.ts";

const systemdTypes = [
  "service",
  "socket",
  "timer",
  "path",
  "mount",
  "automount",
  "swap",
  "target",
  "slice",
] as const;
const quadletTypes = ["container", "pod", "kube", "volume", "network", "image", "build"] as const;

export type QuadletType = (typeof quadletTypes)[number];
export type UnitType = (typeof systemdTypes)[number] | QuadletType;

/** Types that systemd or fleet know by name and that no file can start. */
const refusedTypes: Readonly<Record<string, string>> = {
  device: "systemd makes devices itself, when udev reports the hardware",
  scope: "a program makes its scope while it runs; systemd starts none from a file",
  snapshot: "systemd has no snapshots any more",
  busname: "systemd has no bus names any more",
};

/** Types whose names may hold `@`: systemd's unit_type_may_template(), and all of Quadlet's. */
const templateTypes: ReadonlySet<string> = new Set([
  "service",
  "socket",
  "timer",
  "path",
  "target",
  ...quadletTypes,
]);

/** Longest name, in bytes. fleet took 256; systemd, whose limit counts the NUL at the end, does not. */
export const longestName = 255;

/** A valid name and its parts, as fleet cuts it: at the first `@` and the last `.`. */
export interface UnitName {
  /** `web@1.container`, specifier %n. */
  readonly full: string;
  /** `web@1`, specifier %N. */
  readonly stem: string;
  /** `web`, specifier %p. */
  readonly prefix: string;
  /** `1`, specifier %i; empty for templates and for names without `@`. */
  readonly instance: string;
  /** `web@.container`, of instances and of the template itself; else null. */
  readonly template: string | null;
  readonly type: UnitType;
}

/** The parts of a name. Errors: UNIT_NAME_INVALID, in fleet's words where it had them; UNIT_TYPE_REFUSED. */
export function parseName(name: string): UnitName {
  const mistake = shapeMistake(name);
  if (mistake !== null) throw new AtollError("UNIT_NAME_INVALID", { problem: mistake });
  const dot = name.lastIndexOf(".");
  const stem = name.slice(0, dot);
  const suffix = name.slice(dot + 1);
  const reason = refusedTypes[suffix];
  if (reason !== undefined) throw new AtollError("UNIT_TYPE_REFUSED", { type: suffix, reason });
  const type = [...systemdTypes, ...quadletTypes].find((known) => known === suffix);
  const problem = type === undefined ? `invalid unit type: ${quoted(suffix)}` : stemMistake(name, stem, type);
  if (type === undefined || problem !== null) {
    throw new AtollError("UNIT_NAME_INVALID", { problem: problem ?? "" });
  }
  const at = stem.indexOf("@");
  const prefix = at < 0 ? stem : stem.slice(0, at);
  return {
    full: name,
    stem,
    prefix,
    instance: at < 0 ? "" : stem.slice(at + 1),
    template: at < 0 ? null : `${prefix}@.${suffix}`,
    type,
  };
}

/** True when `name` is the name of a unit that a fleet can hold. */
export function isUnitName(name: string): boolean {
  try {
    parseName(name);
    return true;
  } catch {
    return false;
  }
}

/** The checks and their order are fleet's, and so are the words. */
function shapeMistake(name: string): string | null {
  if (name === "") return "unit name cannot be empty";
  if (Buffer.byteLength(name) > longestName) return `unit name exceeds maximum length (${longestName})`;
  if (!name.includes(".")) return 'unit name must contain "."';
  if (name.endsWith(".")) return 'unit name cannot end in "."';
  return null;
}

function stemMistake(name: string, stem: string, type: UnitType): string | null {
  if (stem.includes("@") && !templateTypes.has(type)) {
    return `invalid unit type for template: ${quoted(type)}`;
  }
  const bad = Array.from(stem).find((character) => !/^[A-Za-z0-9:_.\\@-]$/.test(character));
  if (bad !== undefined) return `invalid character ${quoted(bad, "'")} in unit name`;
  if (name.startsWith("@")) return 'unit name cannot start in "@"';
  return stem === "" ? 'unit name cannot start in "."' : null;
}

export function isTemplate({ template, full }: UnitName): boolean {
  return template === full;
}

/** True for the types that Quadlet makes services of. */
export function isQuadlet(type: UnitType): type is QuadletType {
  return quadletTypes.some((known) => known === type);
}

/** `name`, with `.service` put behind it when it ends in no known type: what fleetctl did to names on its command line. */
export function withDefaultType(name: string): string {
  const suffix = name.slice(name.lastIndexOf(".") + 1);
  const isKnown =
    name.includes(".") &&
    ([...systemdTypes, ...quadletTypes].some((type) => type === suffix) || suffix in refusedTypes);
  return isKnown ? name : `${name}.service`;
}

/** The name of one instance of a template. Errors: UNIT_NAME_INVALID when `template` is none, or the instance cannot be. */
export function instanceName(template: string, instance: string): string {
  const name = parseName(template);
  if (!isTemplate(name) || instance === "") {
    throw new AtollError("UNIT_NAME_INVALID", {
      problem: `${quoted(template)} with instance ${quoted(instance)} names no unit`,
    });
  }
  return parseName(`${name.stem}${instance}.${name.type}`).full;
}

/**
 * Replaces fleet's specifiers (%n, %N, %p, %i) as plain text; everything else, other specifiers of systemd among it,
 * stays as it is. For a template %i is empty.
 */
export function replaceSpecifiers(text: string, { full, stem, prefix, instance }: UnitName): string {
  const values: Readonly<Record<string, string>> = { n: full, N: stem, p: prefix, i: instance };
  return text.replace(/%([nNpi])/g, (whole, letter: string) => values[letter] ?? whole);
}

/** Why `name` cannot be wanted in the state `target`: templates are only known, never loaded. Null when it can. */
export function targetRefusal(name: UnitName, target: TargetState): AtollError | null {
  if (target === "inactive" || !isTemplate(name)) return null;
  return new AtollError("UNIT_IS_TEMPLATE", { name: quoted(name.full), template: name.full });
}

/**
 * Folders whose `*.conf` files are drop-ins of a unit, the most specific first. systemd 252, asked by
 * `systemd-analyze verify`, has for `a-b@1.service`: `a-b@1.service.d`, `a-b@.service.d`, `a-.service.d`,
 * `a-@1.service.d`, `a-@.service.d`, `service.d`. Quadlet has no `a-@1.container.d`, and `a-@` before `a-`.
 */
export function dropInFolders({ full, prefix, instance, template, type }: UnitName): string[] {
  const own = template === null || template === full ? [full] : [full, template];
  const shorter = shortened(prefix);
  const plain = shorter.map((name) => `${name}.${type}`);
  const templates = shorter.flatMap((name) =>
    instance === "" ? [] : [`${name}@${instance}.${type}`, `${name}@.${type}`],
  );
  const general =
    isQuadlet(type) && template !== null
      ? shorter.flatMap((name) => [`${name}@.${type}`, `${name}.${type}`])
      : [...plain, ...templates];
  return [...own, ...general, type].map((name) => `${name}.d`);
}

/** `a-b-` and `a-` of `a-b-c`, the longest first. */
function shortened(prefix: string): string[] {
  const names: string[] = [];
  for (let dash = prefix.lastIndexOf("-"); dash > 0; dash = prefix.lastIndexOf("-", dash - 1)) {
    const name = prefix.slice(0, dash + 1);
    // `a-b-` is its own shortened name.
    if (name !== prefix) names.push(name);
  }
  return names;
}
