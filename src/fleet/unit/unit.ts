/** One unit from its file and its drop-ins: checked, with all that the fleet has to know of it. */
import { AtollError } from "../../errors.ts";
import type { PlacementRules } from "../model.ts";
import { readAtollOptions } from "./atoll-options.ts";
import { canonicalText, serialiseOptions, type UnitOption, unitHash, unitOptions } from "./canonical.ts";
import { readFleetOptions } from "./fleet-options.ts";
import { keyWarnings, sectionWarnings } from "./known.ts";
import { parseName, replaceSpecifiers, type UnitName } from "./names.ts";
import { applicableDropIns, Options } from "./options.ts";
import { parseUnitFile } from "./parse.ts";
import { addTo, type Problem, problem } from "./problem.ts";
import { needsOf, serviceNameOf, systemdUnitOf } from "./quadlet.ts";

/** A file `*.conf` that adds to a unit. */
export interface DropIn {
  /** Its path; only the last two parts count: `web.service.d/10-memory.conf`. */
  readonly path: string;
  readonly text: string;
}

export interface Unit {
  readonly name: UnitName;
  /** The unit that systemd has: this one or, for a Quadlet file, the service that is made of it. */
  readonly systemdUnit: string;
  readonly text: string;
  /** Those that apply, in the order in which they do. */
  readonly dropIns: readonly DropIn[];
  /** What fleet's API shows: the options of the file itself. */
  readonly options: readonly UnitOption[];
  /** SHA-1 of the canonical text, as 40 hexadecimal digits: fleet's hash when there are no drop-ins. */
  readonly hash: string;
  /** The first Description=, as fleet shows it; empty when there is none. */
  readonly description: string;
  /** True with options in [Install]: the unit is enabled where it is placed. */
  readonly installs: boolean;
  readonly rules: PlacementRules;
  /** Other Quadlet files that this one names, which must be on the same machine. */
  readonly files: readonly string[];
  readonly warnings: readonly Problem[];
}

/**
 * Reads one unit. Of a template the rules are those of an instance with an empty name; they only say that it can be
 * read. Errors come as `problems`, warnings among them, each with its place: never anything thrown, whatever the text.
 */
export function readUnit(
  name: string,
  text: string,
  dropIns: readonly DropIn[] = [],
): { readonly unit: Unit } | { readonly problems: readonly Problem[] } {
  const start = { file: name, line: 1, column: 1 };
  try {
    const problems: Problem[] = [];
    const unit = read(parseName(name), text, dropIns, problems);
    return problems.some(({ severity }) => severity === "error") ? { problems } : { unit };
  } catch (error) {
    if (!(error instanceof AtollError)) throw error;
    return { problems: [problem("error", error.code, start, error.parameters)] };
  }
}

function read(name: UnitName, text: string, dropIns: readonly DropIn[], problems: Problem[]): Unit {
  const main = parseUnitFile(name.full, text);
  const parsed = dropIns.map(({ path, text: content }) => parseUnitFile(path, content));
  addTo(problems, [...main.problems, ...parsed.flatMap((part) => part.problems)]);
  const applied = applicableDropIns(
    name,
    parsed.map(({ unitFile }) => unitFile),
    problems,
  );
  const files = [main.unitFile, ...applied];
  const options = new Options(files);
  const fleetRules = readFleetOptions(name, options, problems);
  const systemdUnit = systemdUnitOf(name, serviceNameOf(name, options, problems));
  const service = parseName(systemdUnit);
  const rules = { ...fleetRules, ...readAtollOptions(name, service, options, problems) };
  addTo(problems, [
    ...globalPreferences(rules, options),
    ...keyWarnings(options),
    ...sectionWarnings(name.type, files),
  ]);
  return {
    name,
    systemdUnit,
    text,
    dropIns: applied.flatMap(({ file }) => dropIns.filter(({ path }) => path === file)),
    options: unitOptions(main.unitFile),
    hash: unitHash(canonicalText(main.unitFile, applied)),
    description: options.assignments("Unit", "Description")[0]?.value ?? "",
    installs: options.has("Install"),
    rules,
    files: [...new Set(needsOf(name, options).files.map((file) => replaceSpecifiers(file.text, service)))],
    warnings: problems,
  };
}

/** A global unit runs on every machine that it may, so there is nothing to prefer. */
function globalPreferences({ global }: PlacementRules, options: Options): Problem[] {
  return ["Affinity", "Spread"].flatMap((second) => {
    const option = options.single("X-Atoll", second);
    if (!global || option === null) return [];
    const parameters = { first: "Global", second, firstKey: "Global", secondKey: second };
    return [problem("error", "UNIT_OPTIONS_EXCLUSIVE", option, parameters)];
  });
}

/**
 * The text of a unit that came as options, by fleet's API. What could not be read back as the same options (a newline
 * or a trailing backslash in a value that would take in the next option, say) is a problem.
 */
export function textOfOptions(
  name: string,
  options: readonly UnitOption[],
): { readonly text: string } | { readonly problems: readonly Problem[] } {
  const text = serialiseOptions(options);
  const { unitFile, problems } = parseUnitFile(name, text);
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) return { problems: errors };
  if (serialiseOptions(unitOptions(unitFile)) === text && sameOptions(options, unitOptions(unitFile)))
    return { text };
  return { problems: [problem("error", "UNIT_OPTIONS_UNWRITABLE", { file: name, line: 1, column: 1 })] };
}

/** Both in the order of the text: section by section. */
function sameOptions(given: readonly UnitOption[], readBack: readonly UnitOption[]): boolean {
  const bySection = [...Map.groupBy(given, ({ section }) => section).values()].flat();
  return (
    bySection.length === readBack.length &&
    bySection.every((option, index) => {
      const other = readBack[index];
      return option.name === other?.name && option.section === other.section && option.value === other.value;
    })
  );
}
