/** One configuration file: what may be in it, and where the mistakes are. */
import { type Static, Type } from "typebox";
import Value from "typebox/value";
import { type Document, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { durationPattern } from "../duration.ts";
import { AtollError } from "../errors.ts";

const duration = Type.String({ pattern: durationPattern });
/** Time between two things: none at all would be no pause. */
const interval = Type.String({ pattern: "^0*[1-9][0-9]*(s|min|h|d)$" });
const percent = Type.Number({ minimum: 0, maximum: 50 });
const closed = { additionalProperties: false };

const fileSchema = Type.Partial(
  Type.Object(
    {
      health: Type.Partial(
        Type.Object(
          {
            "start-limit": duration,
            grace: duration,
            "script-limit": duration,
            skip: Type.Array(Type.Enum(["units", "storage", "network", "containers"])),
            "ignore-units": Type.Array(Type.String()),
            "free-percent": percent,
          },
          closed,
        ),
        closed,
      ),
      update: Type.Partial(
        Type.Object(
          {
            check: Type.Union([interval, Type.Literal("never")]),
            "reserve-percent": percent,
            url: Type.String({ pattern: "^(https?|file)://" }),
          },
          closed,
        ),
        closed,
      ),
    },
    closed,
  ),
  closed,
);

export type ConfigFile = Static<typeof fileSchema>;

/** Parses the text of one file; `file` only names it in errors. Errors: CONFIG_INVALID. */
export function parseConfig(file: string, text: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const invalid = (offset: number, problem: string): AtollError => {
    const { line, col } = lines.linePos(offset);
    return new AtollError("CONFIG_INVALID", { file, line, column: col, problem });
  };
  const [broken] = document.errors;
  if (broken) throw invalid(broken.pos[0], broken.message.split("\n")[0] ?? "");
  const value: unknown = document.toJS() ?? {};
  if (Value.Check(fileSchema, value)) return value;
  // The deepest problem is the one that the others follow from.
  const [first] = Value.Errors(fileSchema, value).toSorted(
    (a, b) => depth(b.instancePath) - depth(a.instancePath),
  );
  const keys = first?.instancePath.split("/").slice(1) ?? [];
  throw invalid(
    offsetOf(document, keys, first?.keyword === "boolean"),
    explain(keys, first?.keyword ?? "", first?.message ?? ""),
  );
}

function depth(path: string): number {
  return path.split("/").length;
}

function explain(keys: readonly string[], keyword: string, message: string): string {
  const name = keys.join(".");
  if (keyword === "boolean") return `there is no key "${name}"`;
  const wanted = wantedValues[keys.slice(0, 2).join(".")];
  return wanted === undefined || keyword === "type"
    ? `${name} ${message}`.trim()
    : `${name} must be ${wanted}`;
}

/** What each key takes, where the schema's own words would not help. */
const wantedValues: Readonly<Record<string, string>> = {
  "health.start-limit": "a duration such as 90s, 5min, 6h or 1d",
  "health.grace": "a duration such as 90s, 5min, 6h or 1d",
  "health.script-limit": "a duration such as 90s, 5min, 6h or 1d",
  "health.skip": "one of units, storage, network, containers",
  "health.free-percent": "at most 50",
  "update.check": "a duration such as 90s, 5min, 6h or 1d, or never",
  "update.reserve-percent": "at most 50",
  "update.url": "an address that begins with http://, https:// or file://",
};

/** Where the value under `keys` begins in the text, or where its key does. */
function offsetOf(document: Document, keys: readonly string[], ofKey: boolean): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const key of keys) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key);
      if (pair && isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair?.value;
    } else {
      node = isSeq(node) ? node.items[Number(key)] : undefined;
    }
  }
  return isNode(node) && !ofKey ? (node.range?.[0] ?? offset) : offset;
}
