/** Sections and options that nothing reads: most likely slips of the pen. */
import { nearest } from "../../nearest.ts";
import { atollKeys, atollSection } from "./atoll-options.ts";
import { deprecatedFleetKeys, fleetKeys, fleetSection } from "./fleet-options.ts";
import { isQuadlet, type UnitType } from "./names.ts";
import type { Options } from "./options.ts";
import type { UnitFile } from "./parse.ts";
import { type Problem, problem, quoted } from "./problem.ts";
import { quadletSection } from "./quadlet.ts";

const ours: Readonly<Record<string, readonly string[]>> = {
  [fleetSection]: fleetKeys,
  [atollSection]: atollKeys,
};

/** Warnings about options of [X-Fleet] and [X-Atoll] that mean nothing, or that have a newer name. */
export function keyWarnings(options: Options): Problem[] {
  return options.keys().flatMap(({ section, name: key, first }) => {
    const known = ours[section];
    if (known === undefined || known.includes(key)) return [];
    const newer = section === fleetSection ? deprecatedFleetKeys.get(key) : undefined;
    if (newer !== undefined) {
      return [problem("warning", "UNIT_KEY_DEPRECATED", first, { section, key, newer })];
    }
    const parameters = { section, key: quoted(key), suggestion: suggestionFor(section, key, known) };
    return [problem("warning", "UNIT_KEY_UNKNOWN", first, parameters)];
  });
}

function suggestionFor(section: string, key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  if (near !== null) return `did you mean ${near}=?`;
  const other = Object.entries(ours).find(([name, keys]) => name !== section && keys.includes(key));
  if (other !== undefined) return `${key}= belongs into the section [${other[0]}]`;
  return `the options of this section are ${known.join(", ")}`;
}

/** Warnings about sections that systemd, Quadlet and the fleet would not read in a file of this type. */
export function sectionWarnings(type: UnitType, files: readonly UnitFile[]): Problem[] {
  const known = knownSections(type);
  return files.flatMap(({ file, entries }) =>
    entries.flatMap((entry) => {
      if (entry.kind !== "section" || known.includes(entry.name)) return [];
      const near = nearest(entry.name, known);
      // Sections that begin with X- are for whoever wants them.
      if (entry.name.startsWith("X-") && near === null) return [];
      const suggestion =
        near === null ? `the sections of a .${type} file are ${known.join(", ")}` : `did you mean [${near}]?`;
      const place = { file, line: entry.line, column: entry.column };
      return [problem("warning", "UNIT_SECTION_UNKNOWN", place, { section: entry.name, type, suggestion })];
    }),
  );
}

function knownSections(type: UnitType): string[] {
  const common = ["Unit", "Install", fleetSection, atollSection];
  if (isQuadlet(type)) return [...common, quadletSection(type), "Service", "Quadlet"];
  return type === "target" ? common : [...common, `${type.charAt(0).toUpperCase()}${type.slice(1)}`];
}
