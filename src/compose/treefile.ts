import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Compile } from "typebox/compile";
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from "yaml";
import { AtollError, isSystemError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { exists } from "../paths.ts";
import type { PackageRequest } from "./lock.ts";
import { type TreefileDocument, TreefileSchema } from "./treefile-schema.ts";

export interface FileRule {
  /** Absolute path on this computer of a file or a folder. */
  readonly from: string;
  /** Absolute path in the tree. */
  readonly to: string;
  /** Permission bits, or null: 0755 when executable, 0644 when not. */
  readonly mode: number | null;
  /** Programs only: left without symbols and debugging information. */
  readonly strip: boolean;
}

/** A treefile with all it includes, merged; paths on this computer are absolute. */
export interface Treefile extends PackageRequest {
  /** Every file read, in the order in which they were laid on each other. */
  readonly sources: readonly string[];
  readonly stream: string;
  readonly version: string | null;
  readonly files: readonly FileRule[];
  readonly units: {
    readonly enable: readonly string[];
    readonly disable: readonly string[];
    readonly mask: readonly string[];
  };
  readonly defaultTarget: string;
  readonly kernelPackage: string;
  readonly kernelArguments: readonly string[];
  readonly initramfsModules: readonly string[];
  readonly remove: readonly string[];
  /** Files with the pinned ids, or null when the treefile pins none. */
  readonly users: { readonly passwd: string; readonly group: string } | null;
  readonly osRelease: Readonly<Record<string, string>>;
}

/** One file, checked, its paths made absolute, not yet merged. */
interface Layer {
  readonly path: string;
  readonly said: TreefileDocument;
}

/**
 * Reads the treefile at `path` and all that it includes.
 * Errors: TREEFILE_INVALID with file, line and column of every problem; TREEFILE_MISSING.
 */
export async function readTreefile(path: string): Promise<Treefile> {
  const layers = await readLayers(resolve(path), []);
  return mergeTreefiles(layers);
}

async function readLayers(path: string, within: readonly string[]): Promise<Layer[]> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (isSystemError(error, "ENOENT", "EISDIR", "EACCES"))
      throw new AtollError("TREEFILE_MISSING", { file: path }, error);
    throw error;
  });
  const { said, at } = parseTreefile(path, text);
  const layers: Layer[] = [];
  for (const [index, name] of (said.include ?? []).entries()) {
    const included = resolve(dirname(path), name);
    const place = at(["include", index]);
    if ([...within, path].includes(included)) throw invalid([`${place}: ${name} includes itself in the end`]);
    if (!(await exists(included))) throw invalid([`${place}: there is no file ${included}`]);
    layers.push(...(await readLayers(included, [...within, path])));
  }
  const absolute = await withAbsolutePaths(path, said, at);
  return [...layers, { path, said: absolute }];
}

/** Gives "file:line:column" of the value under a path of keys. */
type Place = (keys: readonly (string | number)[]) => string;

/**
 * Parses one treefile's `text`; `path` only names it in errors.
 * Errors: TREEFILE_INVALID.
 */
export function parseTreefile(path: string, text: string): { said: TreefileDocument; at: Place } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    throw invalid(document.errors.map((error) => `${place(error.pos[0])}: ${firstLine(error.message)}`));
  }
  const said = plainValue(document, path);
  const at: Place = (keys) => place(offsetOf(document, keys));
  const checker = Compile(TreefileSchema);
  if (checker.Check(said)) return { said, at };
  const problems = checker.Errors(said).flatMap((error) => {
    const keys = error.instancePath.split("/").slice(1).map(unescapePointer);
    const problem = explain(error, keys, said);
    return problem === null ? [] : [`${place(offsetOf(document, keys))}: ${problem}`];
  });
  throw invalid([...new Set(problems)]);
}

/** The document as plain values. An alias that leads nowhere, or to too much, is told only here and without a place. */
function plainValue(document: Document.Parsed, path: string): unknown {
  try {
    return document.toJS() ?? {};
  } catch (error) {
    throw invalid([`${path}:1:1: ${error instanceof Error ? firstLine(error.message) : String(error)}`]);
  }
}

interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly schemaPath: string;
  readonly message: string;
  readonly params: object;
}

/** The problem in a person's words, or null where another error tells the same better. */
function explain(error: SchemaError, keys: readonly string[], said: unknown): string | null {
  const key = keys.at(-1) ?? "";
  switch (error.keyword) {
    case "boolean":
      return unknownKey(keys);
    case "additionalProperties":
      return null;
    case "type":
      if (key === "mode")
        return 'mode must be in quotes, such as "0644": YAML would read the digits as a decimal number';
      return keys.length === 0
        ? "a treefile is a list of `key: value` lines"
        : `${shown(keys)} ${error.message}`;
    case "pattern":
      return `${JSON.stringify(valueAt(said, keys))} is not ${patternWords(keys)}`;
    case "required":
      return `${shown(keys)} lacks ${JSON.stringify(Object.values(error.params).flat().join(", "))}`;
    default:
      return `${shown(keys)} ${error.message}`;
  }
}

function patternWords(keys: readonly string[]): string {
  const [first = "", second] = keys;
  if (first.includes("packages") || second === "package") return "the name of a Debian package";
  if (first === "units" || first === "default-target") return "the name of a systemd unit, with its suffix";
  if (first.includes("mirrors")) return "an http:// or https:// address";
  if (keys.includes("to") || first === "remove") return "an absolute path without `..`";
  if (keys.includes("mode")) return 'a mode, such as "0644"';
  if (first === "version") return "a version: it begins with a digit, and holds letters, digits and . ~ + -";
  return `a valid ${first}`;
}

function unknownKey(keys: readonly string[]): string {
  const key = keys.at(-1) ?? "";
  if (keys[0] === "os-release") return `\`${key}\` cannot be a field of os-release: those are in capitals`;
  const known = knownKeys(keys.slice(0, -1));
  const near = nearest(key, known);
  return `there is no key \`${key}\` here; ${near ? `did you mean \`${near}\`?` : `the keys are ${known.join(", ")}`}`;
}

function knownKeys(keys: readonly string[]): string[] {
  let schema: unknown = TreefileSchema;
  for (const key of keys) schema = child(schema, /^\d+$/.test(key) ? ["items"] : ["properties", key]);
  const properties = child(schema, ["properties"]);
  return typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
}

function valueAt(value: unknown, keys: readonly string[]): unknown {
  return child(value, keys);
}

function child(value: unknown, keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined),
    value,
  );
}

/** Where the value at `keys` begins; for a key that should not be there, where the key begins. */
function offsetOf(document: Document.Parsed, keys: readonly (string | number)[]): number {
  const parent = keys.length > 1 ? document.getIn(keys.slice(0, -1).map(index), true) : document.contents;
  const last = keys.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === last);
    if (pair && isScalar(pair.key) && pair.key.range) return pair.key.range[0];
  }
  const node = keys.length > 0 ? document.getIn(keys.map(index), true) : document.contents;
  if (isNode(node) && node.range) return node.range[0];
  return keys.length > 0 ? offsetOf(document, keys.slice(0, -1)) : 0;
}

function index(key: string | number): string | number {
  return typeof key === "string" && /^\d+$/.test(key) ? Number(key) : key;
}

async function withAbsolutePaths(path: string, said: TreefileDocument, at: Place): Promise<TreefileDocument> {
  const base = dirname(path);
  const problems: string[] = [];
  const found = async (name: string, ...keys: (string | number)[]): Promise<string> => {
    const file = resolve(base, name);
    if (!(await exists(file))) problems.push(`${at(keys)}: there is no file ${file}`);
    return file;
  };
  const files =
    said.files &&
    (await Promise.all(
      said.files.map(async (rule, i) => ({ ...rule, from: await found(rule.from, "files", i, "from") })),
    ));
  const users = said.users && {
    passwd: await found(said.users.passwd, "users", "passwd"),
    group: await found(said.users.group, "users", "group"),
  };
  const both = (said.packages ?? []).filter((name) => said["exclude-packages"]?.includes(name));
  for (const name of both) {
    problems.push(
      `${at(["packages", said.packages?.indexOf(name) ?? 0])}: ${name} is both in packages and in exclude-packages`,
    );
  }
  if (problems.length > 0) throw invalid(problems);
  return { ...said, ...(files && { files }), ...(users && { users }) };
}

/**
 * Lays treefiles on each other, the first at the bottom. A single value replaces the one below; lists are joined, each
 * word once; a package or unit named again in another list (excluded, disabled, …) moves there.
 */
function mergeTreefiles(layers: readonly Layer[]): Treefile {
  const last = <K extends keyof TreefileDocument>(key: K): TreefileDocument[K] | undefined =>
    layers.findLast((layer) => layer.said[key] !== undefined)?.said[key];
  const joined = (pick: (said: TreefileDocument) => readonly string[] | undefined): string[] => [
    ...new Set(layers.flatMap((layer) => pick(layer.said) ?? [])),
  ];
  const packages = layered(layers, { add: (said) => said.packages, not: (said) => said["exclude-packages"] });
  const units = layered(layers, {
    enable: (said) => said.units?.enable,
    disable: (said) => said.units?.disable,
    mask: (said) => said.units?.mask,
  });
  return {
    path: layers.at(-1)?.path ?? "",
    sources: layers.map((layer) => layer.path),
    stream: last("stream") ?? "stable",
    version: last("version") ?? null,
    suite: last("suite") ?? "trixie",
    components: last("components") ?? ["main"],
    mirrors: last("mirrors") ?? ["http://deb.debian.org/debian"],
    securityMirrors: last("security-mirrors") ?? ["http://deb.debian.org/debian-security"],
    packages: packages("add"),
    excludePackages: packages("not"),
    files: layers.flatMap((layer) => (layer.said.files ?? []).map(fileRule)),
    units: { enable: units("enable"), disable: units("disable"), mask: units("mask") },
    defaultTarget: last("default-target") ?? "multi-user.target",
    kernelPackage:
      layers.findLast((layer) => layer.said.kernel?.package)?.said.kernel?.package ??
      "linux-image-cloud-amd64",
    kernelArguments: joined((said) => said.kernel?.arguments),
    initramfsModules: joined((said) => said.initramfs?.modules),
    remove: joined((said) => said.remove),
    users: last("users") ?? null,
    osRelease: Object.assign({}, ...layers.map((layer) => layer.said["os-release"] ?? {})),
  };
}

function fileRule(rule: { from: string; to: string; mode?: string; strip?: boolean }): FileRule {
  const mode = rule.mode === undefined ? null : Number.parseInt(rule.mode, 8);
  return { from: rule.from, to: rule.to, mode, strip: rule.strip ?? false };
}

/** Joins several lists over the layers so that each word ends in the list that named it last. */
function layered<K extends string>(
  layers: readonly Layer[],
  lists: Readonly<Record<K, (said: TreefileDocument) => readonly string[] | undefined>>,
): (list: K) => string[] {
  const home = new Map<string, K>();
  for (const layer of layers) {
    for (const list in lists) {
      for (const word of lists[list](layer.said) ?? []) {
        home.delete(word);
        home.set(word, list);
      }
    }
  }
  return (wanted) => [...home].filter(([, list]) => list === wanted).map(([word]) => word);
}

function invalid(problems: readonly string[]): AtollError {
  return new AtollError("TREEFILE_INVALID", { problems: problems.join("\n") });
}

function shown(keys: readonly string[]): string {
  return `\`${keys.join(".")}\``;
}

function firstLine(text: string): string {
  return text.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? text;
}

function unescapePointer(word: string): string {
  return word.replaceAll("~1", "/").replaceAll("~0", "~");
}
