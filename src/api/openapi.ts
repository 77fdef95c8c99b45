/** The OpenAPI 3.1 document of a list of routes. */
import type { TObject, TSchema } from "typebox";
import * as hostSchemas from "../host/schemas.ts";
import type { Route } from "./route.ts";
import * as schemas from "./schemas.ts";

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** Describes `routes`. The same routes give the same text: no date, no host, no version of the daemon. */
export function openApiDocument(routes: readonly Route[]): JsonObject {
  const names = componentNames();
  const paths: Record<string, Record<string, Json>> = {};
  for (const one of routes) {
    const methods = paths[one.path] ?? {};
    methods[one.method.toLowerCase()] = describe(one, names);
    paths[one.path] = methods;
  }
  const components: Record<string, Json> = {};
  for (const [schema, name] of names) components[name] = inside(schema, names);
  return {
    openapi: "3.1.0",
    info: {
      title: "Atoll host",
      version: "1",
      description:
        "The API of atolld, on the unix socket /run/atoll/api.sock. Errors are in docs/reference/errors.md.",
    },
    paths,
    components: { schemas: components },
  };
}

/** Schemas that have a name of their own: every exported one, `deploymentSchema` as `Deployment`. */
function componentNames(): Map<object, string> {
  const names = new Map<object, string>();
  for (const [key, schema] of [...Object.entries(hostSchemas), ...Object.entries(schemas)]) {
    if (/(Query|Parameters)Schema$/.test(key)) continue;
    const name = key.replace(/Schema$/, "");
    names.set(schema, name.charAt(0).toUpperCase() + name.slice(1));
  }
  return names;
}

function describe(one: Route, names: ReadonlyMap<object, string>): Json {
  const media = one.streams ? "application/x-ndjson" : "application/json";
  const parameters = [
    ...parametersOf(one.parameters, "path", names),
    ...parametersOf(one.query, "query", names),
  ];
  const codes = ["REQUEST_INVALID", ...one.errors].join(", ");
  return {
    operationId: operationId(one),
    summary: one.summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(one.body ? { requestBody: body(one.body, names) } : {}),
    responses: {
      [String(one.status)]: {
        description: one.status === 202 ? "Begun" : "OK",
        content: { [media]: { schema: reference(one.response, names) } },
      },
      default: {
        description:
          one.status === 202
            ? `Refused, or how the operation that was begun fails: ${codes}`
            : `Refused or failed: ${codes}`,
        content: { "application/json": { schema: reference(schemas.errorResponseSchema, names) } },
      },
    },
  };
}

/** `GET /v1/operations/{id}/events` is `getOperationsIdEvents`. */
function operationId({ method, path }: Route): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "" && word !== "v1");
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}

function body(schema: TObject, names: ReadonlyMap<object, string>): Json {
  return { required: true, content: { "application/json": { schema: reference(schema, names) } } };
}

function parametersOf(
  schema: TObject | undefined,
  place: string,
  names: ReadonlyMap<object, string>,
): Json[] {
  const required: readonly string[] = schema?.required ?? [];
  return Object.entries(schema?.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: required.includes(name),
    schema: reference(property, names),
  }));
}

function reference(schema: TSchema, names: ReadonlyMap<object, string>): Json {
  const name = names.get(schema);
  return name === undefined ? inside(schema, names) : { $ref: `#/components/schemas/${name}` };
}

/** A schema as plain JSON, with the named schemas in it as references. */
function inside(value: unknown, names: ReadonlyMap<object, string>): Json {
  if (Array.isArray(value)) return value.map((item: unknown) => nested(item, names));
  if (typeof value !== "object" || value === null) {
    return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
      ? value
      : null;
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !key.startsWith("~"))
      .map(([key, item]) => [key, nested(item, names)]),
  );
}

function nested(value: unknown, names: ReadonlyMap<object, string>): Json {
  const name = typeof value === "object" && value !== null ? names.get(value) : undefined;
  return name === undefined ? inside(value, names) : { $ref: `#/components/schemas/${name}` };
}
