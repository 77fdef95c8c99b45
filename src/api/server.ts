/** HTTP over a unix socket: requests to routes, answers and refusals back. */
import { chmod, chown, mkdir, readFile, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { dirname } from "node:path";
import { AtollError, asAtollError } from "../errors.ts";
import type { Log } from "../host/log.ts";
import { errorBody } from "../host/operations.ts";
import { openApiDocument } from "./openapi.ts";
import type { Answer, ApiParts, Route } from "./route.ts";

/** A request, taken from the wire. */
export interface ApiRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly body: string;
  /** Fires when the client goes away. */
  readonly signal: AbortSignal;
}

export interface ApiReply {
  readonly status: number;
  readonly body: { readonly json: unknown } | { readonly lines: AsyncIterable<unknown> };
}

/** Answers any request: what goes wrong becomes an error reply. */
export type Api = (request: ApiRequest) => Promise<ApiReply>;

/** The API that `routes` and their description make up. */
export function api(routes: readonly Route[], parts: ApiParts, log: Log): Api {
  return async (request) => {
    try {
      const { pathname, searchParams } = addressOf(request);
      if (request.method === "GET" && pathname === "/v1/openapi.json")
        return reply(200, openApiDocument(routes));
      const { route, parameters } = find(routes, request.method, pathname);
      const input = {
        parameters,
        query: Object.fromEntries(searchParams),
        body: parseBody(route, request.body),
        signal: request.signal,
      };
      return { status: route.status, body: asBody(await route.answer(input, parts)) };
    } catch (thrown) {
      const error = asAtollError(thrown);
      if (error.code === "INTERNAL" && thrown instanceof Error) log.error(thrown.stack ?? thrown.message);
      return reply(error.status, { error: errorBody(error) });
    }
  };
}

/** Errors: NOT_FOUND. */
function addressOf({ method, url }: ApiRequest): URL {
  // Not against a base: a path that begins with two slashes would name a host.
  const address = URL.canParse(`http://atoll${url}`) ? new URL(`http://atoll${url}`) : null;
  if (address === null) throw new AtollError("ROUTE_UNKNOWN", { what: `route ${method} ${url}` });
  return address;
}

function reply(status: number, json: unknown): ApiReply {
  return { status, body: { json } };
}

function asBody(answer: Answer): ApiReply["body"] {
  return "json" in answer ? { json: answer.json } : { lines: answer.lines };
}

/** The route for a path, with its parameters. Errors: ROUTE_UNKNOWN. */
function find(
  routes: readonly Route[],
  method: string,
  path: string,
): { readonly route: Route; readonly parameters: Record<string, string> } {
  for (const route of routes) {
    const parameters = route.method === method ? match(route.path, path) : null;
    if (parameters !== null) return { route, parameters };
  }
  throw new AtollError("ROUTE_UNKNOWN", { what: `route ${method} ${path}` });
}

/** The parameters of `path` when it is of the form of `template` (`/v1/operations/{id}`), else null. */
export function match(template: string, path: string): Record<string, string> | null {
  const wanted = template.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const parameters: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined ? part !== value : value === "") return null;
    const decoded = decode(value);
    if (decoded === null) return null;
    if (name !== undefined) parameters[name] = decoded;
  }
  return parameters;
}

/** Null when it is not percent-encoded as it should be. */
function decode(value: string): string | null {
  try {
    return decodeURIComponent(value);
  } catch {
    return null;
  }
}

/** An empty body is an empty request. */
function parseBody(route: Route, text: string): unknown {
  if (!route.body || text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    const problem = `the body is not JSON: ${error instanceof Error ? error.message : String(error)}`;
    throw new AtollError("REQUEST_INVALID", { route: `${route.method} ${route.path}`, problem }, error);
  }
}

export interface ApiServer {
  stop(): Promise<void>;
}

/** Milliseconds that open responses get when the server stops. */
const patience = 2000;

/** Whose members may use the socket beside root: os/group gives it an id that never moves. */
const socketGroup = "atoll";

/**
 * Serves `answer` on the unix socket `path`, which root and the members of the group `atoll` may use. `groups` is the
 * machine's group(5); where it has no such group, only root may. Errors: a system error when the socket cannot be made.
 */
export async function serve(answer: Api, path: string, groups = "/etc/group"): Promise<ApiServer> {
  await mkdir(dirname(path), { recursive: true });
  // Left by a daemon that was killed; systemd sees to it that only one runs.
  await rm(path, { force: true });
  // Not `import "node:http"`: as a module of names it reads each of them, among them WebSocket, which loads all of
  // undici. That is 17 MB and more than half of the daemon's start.
  const server = process.getBuiltinModule("node:http").createServer((request, response) => {
    void handle(answer, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o660);
  const group = groupId(await readFile(groups, "utf8").catch(() => ""), socketGroup);
  if (group !== null) await chown(path, -1, group);
  return {
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), patience).unref();
      }),
  };
}

/** Bytes of a request's body; the longest that a route takes is far below. */
const longestBody = 64 * 1024;

async function handle(answer: Api, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  try {
    const { method = "GET", url = "/" } = request;
    const body = await bodyOf(request);
    const said =
      body === null ? tooLong(`${method} ${url}`) : await answer({ method, url, body, signal: gone.signal });
    if ("json" in said.body) {
      response.writeHead(said.status, { "content-type": "application/json" });
      response.end(`${JSON.stringify(said.body.json)}\n`);
      return;
    }
    response.writeHead(said.status, { "content-type": "application/x-ndjson" });
    // At once, so that a client that waits for the first line sees that it is served.
    response.flushHeaders();
    for await (const line of said.body.lines) response.write(`${JSON.stringify(line)}\n`);
    response.end();
  } catch {
    // The client went away, or sends what is no request; there is nobody to tell.
    response.destroy();
  }
}

function tooLong(route: string): ApiReply {
  const problem = `the body is over ${longestBody} bytes`;
  const error = new AtollError("REQUEST_INVALID", { route, problem });
  return reply(error.status, { error: errorBody(error) });
}

/** The body of a request; null when it is longer than any may be. */
async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  // To its end, kept or not: who is still sending does not read the answer.
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    length += chunk.length;
    if (length <= longestBody) chunks.push(chunk);
  }
  if (length > longestBody) return null;
  return Buffer.concat(chunks).toString("utf8");
}

/** The id of the group `name` in the lines of group(5); null when there is none. */
function groupId(groups: string, name: string): number | null {
  const [, , id] =
    groups
      .split("\n")
      .map((line) => line.split(":"))
      .find((fields) => fields[0] === name) ?? [];
  return id !== undefined && /^\d+$/.test(id) ? Number(id) : null;
}
