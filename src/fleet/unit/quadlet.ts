/** What a Quadlet file becomes (podman-systemd.unit(5)): the service, and what it needs beside it. */
import { AtollError } from "../../errors.ts";
import { isQuadlet, parseName, type QuadletType, type UnitName } from "./names.ts";
import type { Options, PlacedWord } from "./options.ts";
import { type OptionEntry, placeInValue } from "./parse.ts";
import { type Problem, problem } from "./problem.ts";

/** The section that is a Quadlet type's own, and what stands behind the file's name in the name of its service. */
const quadlets: Readonly<Record<QuadletType, { section: string; suffix: string }>> = {
  container: { section: "Container", suffix: "" },
  pod: { section: "Pod", suffix: "-pod" },
  kube: { section: "Kube", suffix: "" },
  volume: { section: "Volume", suffix: "-volume" },
  network: { section: "Network", suffix: "-network" },
  image: { section: "Image", suffix: "-image" },
  build: { section: "Build", suffix: "-build" },
};

/** The section of a Quadlet type's own options. */
export function quadletSection(type: QuadletType): string {
  return quadlets[type].section;
}

/**
 * The unit that systemd has for `name`: itself or, for a Quadlet file, the service that Quadlet generates, named by
 * `serviceName` (the file's ServiceName=) if that is not null. `data@1.volume` gives, as Quadlet has it,
 * `data@1-volume.service`. The template `data@.volume` gives `data-volume@.service` in newer Podman, and
 * `data@-volume.service` in 5.4; nothing ever starts it.
 * Errors: UNIT_NAME_INVALID when that can be the name of no service.
 */
export function systemdUnitOf(
  { full, prefix, stem, template, type }: UnitName,
  serviceName: string | null,
): string {
  if (!isQuadlet(type)) return full;
  const { suffix } = quadlets[type];
  const own = template === full ? `${prefix}${suffix}@` : `${stem}${suffix}`;
  return parseName(`${serviceName ?? own}.service`).full;
}

/** The name that ServiceName= gives to the generated service; null when there is none, or when it cannot hold. */
export function serviceNameOf(name: UnitName, options: Options, problems: Problem[]): string | null {
  if (!isQuadlet(name.type)) return null;
  // An empty one takes nothing back: Quadlet would make a unit called `.service`.
  const option = options.assignments(quadletSection(name.type), "ServiceName").at(-1);
  if (option === undefined) return null;
  const given = option.value.replace(/^"(.*)"$/, "$1");
  const mistake = serviceNameMistake(name, given);
  if (mistake === null) return given;
  const parameters = { section: option.section, key: option.name, value: given, problem: mistake };
  problems.push(problem("error", "UNIT_VALUE_INVALID", placeInValue(option, 0), parameters));
  return null;
}

function serviceNameMistake(name: UnitName, given: string): string | null {
  if (name.template !== null) return "all instances would have this one service; leave it out of templates";
  if (given === "") return "Quadlet would make a service without a name; leave the line out";
  if (given.endsWith(".service")) return "Quadlet adds .service itself; leave it out";
  if (given.includes("@"))
    return "a file that is no template cannot have the service of one; leave out the @";
  try {
    parseName(`${given}.service`);
    return null;
  } catch (error) {
    return error instanceof AtollError ? error.message : "it is no name";
  }
}

/** What a Quadlet file mounts or joins; each with its place. */
interface Needs {
  /** Volumes of Podman by name. Those that a .volume file makes have the name that Quadlet gives them unasked. */
  readonly volumes: readonly PlacedWord[];
  /** Other Quadlet files, which must be on the same machine. */
  readonly files: readonly PlacedWord[];
}

/**
 * Reads Volume=, Mount= and the other options that name things beside the container, and for a .volume file the volume
 * that it makes. Nothing for other types.
 */
export function needsOf({ stem, type }: UnitName, options: Options): Needs {
  if (!isQuadlet(type)) return { volumes: [], files: [] };
  const section = quadletSection(type);
  const sources = [
    ...options.list(section, "Volume").map(sourceOfVolume),
    ...options.list(section, "Mount").map(sourceOfMount),
  ].filter((source) => source !== null);
  const naming = [
    ...options.list(section, "Network"),
    ...["Image", "Pod", "Rootfs"].map((key) => options.single(section, key)),
  ].filter((option) => option !== null);
  const others = naming.map((option) => ({
    text: option.value.split(/[:,]/)[0] ?? "",
    place: placeInValue(option, 0),
  }));
  const isFile = ({ text }: PlacedWord): boolean =>
    /\.(volume|network|pod|image|build|container)$/.test(text);
  const mounted = sources.filter((source) => !isFile(source) || source.text.endsWith(".volume"));
  const named = options.single(section, "VolumeName");
  const made = { text: named?.value ?? volumeName(`${stem}.volume`), place: named ?? start };
  return {
    volumes: [
      ...mounted.map(({ text, place }) => ({ text: volumeName(text), place })),
      ...(type === "volume" ? [made] : []),
    ],
    files: [...sources, ...others].filter(isFile),
  };
}

/** The place of what a file means without saying it. */
const start = { file: "", line: 1, column: 1 };

/** The volume that a file `data.volume` makes is `systemd-data`; by any other word it is its own name. */
function volumeName(source: string): string {
  const made = /^(.*)\.volume$/.exec(source)?.[1];
  return made === undefined ? source : `systemd-${made}`;
}

/** The named volume or the file of `Volume=NAME:/where[:options]`; null for folders and volumes without a name. */
function sourceOfVolume(option: OptionEntry): PlacedWord | null {
  const [source = "", where] = option.value.split(":");
  if (where === undefined || source === "" || /^[/.~]/.test(source)) return null;
  return { text: source, place: placeInValue(option, 0) };
}

/** The same of `Mount=type=volume,source=NAME,…`. */
function sourceOfMount(option: OptionEntry): PlacedWord | null {
  const fields = new Map(
    option.value.split(",").map((field): [string, string] => {
      const [key = "", ...value] = field.split("=");
      return [key.trim(), value.join("=").trim()];
    }),
  );
  const source = fields.get("source") ?? fields.get("src") ?? "";
  // Podman takes a mount without a type for a volume.
  const type = fields.get("type") ?? "volume";
  const isThing = type === "volume" || /\.(image|build|volume)$/.test(source);
  if (/^([/.~]|$)/.test(source) || !isThing) return null;
  return { text: source, place: placeInValue(option, option.value.indexOf(source)) };
}
