/** HTTP over a unix socket: routes in, errors out. */
import { chmod, chown, mkdir, readFile, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { dirname } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { stream } from "hono/streaming";
import { AtollError, asAtollError } from "../errors.ts";
import type { Log } from "../host/log.ts";
import { errorBody } from "../host/operations.ts";
import { openApiDocument } from "./openapi.ts";
import type { Answer, ApiParts, Route } from "./route.ts";

/** The routes as a Hono application; `app.request()` tests it without a socket. */
export function application(routes: readonly Route[], parts: ApiParts, log: Log): Hono {
  const app = new Hono();
  for (const one of routes) {
    const path = one.path.replace(/\{(\w+)\}/g, ":$1");
    app.on(one.method, [path], async (context) =>
      respond(context, one, await one.answer(await rawInput(context, one), parts)),
    );
  }
  app.get("/v1/openapi.json", (context) => context.json(openApiDocument(routes)));
  app.notFound((context) => {
    const what = `route ${context.req.method} ${context.req.path}`;
    return errorResponse(new AtollError("NOT_FOUND", { what }));
  });
  app.onError((thrown) => {
    const error = asAtollError(thrown);
    if (error.code === "INTERNAL") log.error(thrown.stack ?? thrown.message);
    return errorResponse(error);
  });
  return app;
}

function errorResponse(error: AtollError): Response {
  return Response.json({ error: errorBody(error) }, { status: error.status });
}

async function rawInput(context: Context, one: Route): Promise<Parameters<Route["answer"]>[0]> {
  const text = one.body ? await context.req.text() : "";
  return {
    parameters: context.req.param(),
    query: context.req.query(),
    body: parseBody(one, text),
    signal: context.req.raw.signal,
  };
}

/** An empty body is an empty request. */
function parseBody(one: Route, text: string): unknown {
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    const problem = `the body is not JSON: ${error instanceof Error ? error.message : String(error)}`;
    throw new AtollError("REQUEST_INVALID", { route: `${one.method} ${one.path}`, problem }, error);
  }
}

function respond(context: Context, one: Route, answer: Answer): Response {
  if ("json" in answer) return Response.json(answer.json, { status: one.status });
  context.header("content-type", "application/x-ndjson");
  return stream(context, async (out) => {
    for await (const line of answer.lines) {
      if (out.aborted) return;
      await out.write(`${JSON.stringify(line)}\n`);
    }
  });
}

export interface ApiServer {
  stop(): Promise<void>;
}

/** Milliseconds that open responses get when the server stops. */
const patience = 2000;

/**
 * Serves `app` on the unix socket `path`, which root may use and, where there is a group `atoll`, its members.
 * Errors: a system error when the socket cannot be made.
 */
export async function serve(app: Hono, path: string): Promise<ApiServer> {
  await mkdir(dirname(path), { recursive: true });
  // Left by a daemon that was killed; systemd sees to it that only one runs.
  await rm(path, { force: true });
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o660);
  const group = await groupId("atoll");
  if (group !== null) await chown(path, 0, group);
  return {
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), patience).unref();
      }),
  };
}

async function groupId(name: string): Promise<number | null> {
  const groups = await readFile("/etc/group", "utf8").catch(() => "");
  const id = groups
    .split("\n")
    .find((line) => line.startsWith(`${name}:`))
    ?.split(":")[2];
  return id === undefined ? null : Number(id);
}
