/** A route as data: what it takes, what it gives, and who answers. The server and its description come from it. */
import type { Static, TObject, TSchema } from "typebox";
import Value from "typebox/value";
import { AtollError } from "../errors.ts";
import type { Host } from "../host/host.ts";

/** What the handlers work with. */
export interface ApiParts {
  readonly host: Host;
  /** Of the daemon. */
  readonly version: string;
}

/** What a request is checked against. */
interface Shape {
  readonly parameters?: TObject;
  readonly query?: TObject;
  readonly body?: TObject;
}

type StaticOf<S> = S extends TSchema ? Static<S> : Readonly<Record<string, never>>;

/** A checked request. */
interface Input<S extends Shape> {
  readonly parameters: StaticOf<S["parameters"]>;
  readonly query: StaticOf<S["query"]>;
  readonly body: StaticOf<S["body"]>;
  /** Fires when the client goes away. */
  readonly signal: AbortSignal;
}

/** A request as it came. */
export interface RawInput {
  readonly parameters: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly signal: AbortSignal;
}

/** What a route answers with: one JSON value, or lines of JSON as they come. */
export type Answer = { readonly json: unknown } | { readonly lines: AsyncIterable<unknown> };

export interface Route extends Shape {
  readonly method: "GET" | "POST" | "DELETE";
  /** With parameters in braces: `/v1/operations/{id}`. */
  readonly path: string;
  readonly summary: string;
  /** Codes of src/errors.ts that it may refuse with, beyond those that every route may. */
  readonly errors: readonly string[];
  readonly status: 200 | 202;
  readonly response: TSchema;
  /** True when the response is a stream of lines, each as `response` says. */
  readonly streams: boolean;
  /** Checks `input`, then answers. Errors: REQUEST_INVALID, and those of the handler. */
  answer(input: RawInput, parts: ApiParts): Promise<Answer>;
}

interface Description<S extends Shape> {
  readonly method: Route["method"];
  readonly path: string;
  readonly summary: string;
  readonly shape: S;
  readonly errors?: readonly string[];
  readonly status?: Route["status"];
  readonly response: TSchema;
}

interface Definition<S extends Shape> extends Description<S> {
  /** Gives the value, or a promise of it. */
  readonly handle: (input: Input<S>, parts: ApiParts) => unknown;
}

/** A route that answers with one value. The handler sees only requests of the right shape. */
export function route<const S extends Shape>(definition: Definition<S>): Route {
  return build(definition, false, async (input, parts) => ({ json: await definition.handle(input, parts) }));
}

interface StreamDefinition<S extends Shape> extends Description<S> {
  readonly handle: (input: Input<S>, parts: ApiParts) => AsyncIterable<unknown>;
}

/** A route that answers with lines of JSON, sent as they come. */
export function streamRoute<const S extends Shape>(definition: StreamDefinition<S>): Route {
  return build(definition, true, async (input, parts) => ({ lines: definition.handle(input, parts) }));
}

function build<const S extends Shape>(
  definition: Description<S>,
  streams: boolean,
  answer: (input: Input<S>, parts: ApiParts) => Promise<Answer>,
): Route {
  const { method, path, summary, shape, errors = [], status = 200, response } = definition;
  const where = `${method} ${path}`;
  return {
    ...shape,
    method,
    path,
    summary,
    errors,
    status,
    response,
    streams,
    async answer(raw, parts) {
      const input: Input<S> = {
        parameters: checked(where, shape, "parameters", raw.parameters),
        query: checked(where, shape, "query", raw.query),
        body: checked(where, shape, "body", raw.body),
        signal: raw.signal,
      };
      return answer(input, parts);
    },
  };
}

/** `value` as `shape` says of `key`; the overload ties its type to whether there is a schema. */
function checked<S extends Shape, Key extends keyof Shape>(
  where: string,
  shape: S,
  key: Key,
  value: unknown,
): StaticOf<S[Key]>;
function checked(where: string, shape: Shape, key: keyof Shape, value: unknown): unknown {
  const schema = shape[key];
  if (schema === undefined) return {};
  if (Value.Check(schema, value)) return value;
  throw new AtollError("REQUEST_INVALID", { route: where, problem: problemOf(schema, key, value) });
}

/** What is wrong with `value`, in one sentence: of the deepest place, for the others only follow from it. */
function problemOf(schema: TObject, key: keyof Shape, value: unknown): string {
  const errors = Value.Errors(schema, value).toSorted(
    (a, b) => b.instancePath.length - a.instancePath.length,
  );
  const [first] = errors;
  const place = first?.instancePath.slice(1).replaceAll("/", ".") ?? "";
  if (first?.keyword === "boolean") return `there is no ${place} in it`;
  const rule = errors.some(({ keyword }) => keyword === "not" || keyword === "anyOf");
  if (place === "" && rule && "description" in schema) return String(schema.description);
  return `${place === "" ? `the ${key}` : place} ${first?.message ?? ""}`;
}
