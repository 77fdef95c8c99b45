import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { openApiReference, openApiReferencePath } from "../../scripts/docs.ts";
import { errorTable } from "../errors.ts";
import { type FakeMachine, fakeMachine } from "../host/fake-machine.ts";
import { openHost } from "../host/host.ts";
import { openOperations } from "../host/operations.ts";
import { routes } from "./routes.ts";
import { type Api, type ApiReply, api, match, serve } from "./server.ts";
import type {
  ErrorResponse,
  Operation,
  OperationEvent,
  OperationsResponse,
  StatusResponse,
} from "./types.ts";

async function withApp(check: (app: Api, machine: FakeMachine) => Promise<void>): Promise<void> {
  const machine = await fakeMachine("1.0");
  try {
    const { ports } = machine;
    const operations = openOperations({ clock: ports.clock, log: ports.log, marker: ports.store.marker });
    const host = openHost(ports, operations);
    machine.well.add(machine.bootIdAt(0));
    await host.settle(new AbortController().signal);
    await check(api(routes(), { host, version: "0.0.0" }, ports.log), machine);
  } finally {
    await machine.remove();
  }
}

const { signal } = new AbortController();

function get(app: Api, url: string): Promise<ApiReply> {
  return app({ method: "GET", url, body: "", signal });
}

function post(app: Api, url: string, body: string): Promise<ApiReply> {
  return app({ method: "POST", url, body, signal });
}

/** A reply as a client gets it. */
function json<T>({ body }: ApiReply): T {
  assert.ok("json" in body);
  return JSON.parse(JSON.stringify(body.json));
}

async function events(app: Api, id: string): Promise<OperationEvent[]> {
  const { body } = await get(app, `/v1/operations/${id}/events`);
  assert.ok("lines" in body);
  const lines: OperationEvent[] = [];
  for await (const line of body.lines) lines.push(JSON.parse(JSON.stringify(line)));
  return lines;
}

test("docs/reference/openapi.json is of the routes as they are (mend with: scripts/run docs)", async () => {
  assert.equal(await readFile(openApiReferencePath, "utf8"), openApiReference());
});

test("every code that a route names is in the registry", () => {
  for (const { path, errors } of routes()) {
    for (const code of errors) assert.ok(code in errorTable, `${path}: ${code}`);
  }
});

test("status tells of the deployments", () =>
  withApp(async (app) => {
    const response = await get(app, "/v1/host");
    assert.equal(response.status, 200);
    const status = json<StatusResponse>(response);
    assert.deepEqual(
      status.deployments.map(({ version, booted }) => [version, booted]),
      [["1.0", true]],
    );
    assert.equal(status.operation, null);
  }));

test("a verb begins an operation, whose events come from the start and end with its result", () =>
  withApp(async (app, machine) => {
    machine.newest = { version: "1.1" };
    const response = await post(app, "/v1/host/upgrade", "{}");
    assert.equal(response.status, 202);
    const { id, state } = json<Operation>(response);
    assert.equal(state, "running");
    const seen = await events(app, id);
    assert.deepEqual(await events(app, id), seen, "they can be read again");
    assert.equal(seen.at(-1)?.type, "result");
    assert.ok(seen.some((event) => event.type === "step" && event.step === "staging 1.1"));
    const one = json<Operation>(await get(app, `/v1/operations/${id}`));
    assert.equal(one.state, "done");
    assert.equal(one.result?.reboot, "needed");
    const late = await app({ method: "DELETE", url: `/v1/operations/${id}`, body: "", signal });
    assert.equal(late.status, errorTable.NOT_CANCELLABLE.status);
  }));

test("requests that are not as described are refused by name, and begin nothing", () =>
  withApp(async (app) => {
    const cases = [
      ["/v1/host/kargs", '{"append":[1]}', /append\.0 must be string/],
      ["/v1/host/kargs", '{"appent":["x"]}', /there is no appent in it/],
      ["/v1/host/kargs", "{", /the body is not JSON/],
      ["/v1/host/rebase", "{}", /to/],
      ["/v1/host/upgrade", '{"mode":"now"}', /mode/],
      [
        "/v1/host/upgrade",
        '{"mode":"check","allowDowngrade":true}',
        /allowDowngrade does not go with mode check/,
      ],
      ["/v1/host/kargs", '{"again":true}', /at least one of append, delete and replace is needed/],
      ["/v1/host/kargs", "", /at least one of append, delete and replace is needed/],
    ] as const;
    for (const [path, body, problem] of cases) {
      const response = await post(app, path, body);
      assert.equal(response.status, 400, body);
      const { error } = json<ErrorResponse>(response);
      assert.equal(error.code, "REQUEST_INVALID");
      assert.match(error.message, problem);
    }
    const { operations } = json<OperationsResponse>(await get(app, "/v1/operations"));
    assert.deepEqual(operations, []);
  }));

test("what is not there is said so, with what to do", () =>
  withApp(async (app) => {
    for (const [path, code] of [
      ["/v1/nothing", "ROUTE_UNKNOWN"],
      ["/v1/operations/7", "OPERATION_UNKNOWN"],
      ["/v1/operations/7/events", "OPERATION_UNKNOWN"],
      ["/v1/host/diff?from=9.9", "DEPLOYMENT_UNKNOWN"],
    ] as const) {
      const response = await get(app, path);
      assert.equal(response.status, 404, path);
      const { error } = json<ErrorResponse>(response);
      assert.equal(error.code, code);
      assert.notEqual(error.next, "");
    }
  }));

test("a path is matched part by part", () => {
  assert.deepEqual(match("/v1/operations/{id}/events", "/v1/operations/a%20b/events"), { id: "a b" });
  assert.deepEqual(match("/v1/host", "/v1/host"), {});
  for (const path of ["/v1/operations//events", "/v1/operations/1", "/v1/operations/1/events/", "/v1/host"]) {
    assert.equal(match("/v1/operations/{id}/events", path), null, path);
  }
});

test("an address that is none is not found, and no defect", () =>
  withApp(async (app) => {
    for (const url of ["/v1/operations/%zz", "//", "//v1/host", "nonsense:"]) {
      const { status } = await get(app, url);
      assert.equal(status, 404, url);
    }
  }));

test("a body that is too long is refused by name", () =>
  withApp(async (app) => {
    const folder = await mkdtemp(join(tmpdir(), "atoll-api-"));
    const socketPath = join(folder, "api.sock");
    const server = await serve(app, socketPath);
    try {
      const body = await new Promise<string>((resolve, reject) => {
        request({ socketPath, method: "POST", path: "/v1/host/kargs" }, (response) => resolve(text(response)))
          .once("error", reject)
          .end("x".repeat(1_000_000));
      });
      const { error }: ErrorResponse = JSON.parse(body);
      assert.equal(error.code, "REQUEST_INVALID");
      assert.match(error.message, /over 65536 bytes/);
    } finally {
      await server.stop();
      await rm(folder, { recursive: true });
    }
  }));

test("it serves on a unix socket that others may not use, and takes over a stale one", () =>
  withApp(async (app) => {
    const folder = await mkdtemp(join(tmpdir(), "atoll-api-"));
    const socketPath = join(folder, "api.sock");
    try {
      for (let round = 0; round < 2; round++) {
        const server = await serve(app, socketPath);
        assert.equal((await stat(socketPath)).mode & 0o777, 0o660);
        const body = await new Promise<string>((resolve, reject) => {
          request({ socketPath, path: "/v1/version" }, (response) => resolve(text(response)))
            .once("error", reject)
            .end();
        });
        assert.deepEqual(JSON.parse(body), { version: "0.0.0", api: "v1" });
        await server.stop();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  }));

test("members of the group atoll may use the socket, where there is such a group", () =>
  withApp(async (app) => {
    const folder = await mkdtemp(join(tmpdir(), "atoll-api-"));
    const socketPath = join(folder, "api.sock");
    const groups = join(folder, "group");
    const own = process.getgid?.() ?? 0;
    // Root may give a file to any group, another account to those that it is in.
    const other = process.getuid?.() === 0 ? 500 : (process.getgroups?.().find((id) => id !== own) ?? own);
    try {
      for (const [line, gid] of [
        [`atolls:x:${other}:`, own],
        [`root:x:0:\natoll:x:${other}:ann,bob`, other],
      ] as const) {
        await writeFile(groups, `${line}\n`);
        const server = await serve(app, socketPath, groups);
        const { gid: found, mode } = await stat(socketPath);
        assert.deepEqual([found, mode & 0o777], [gid, 0o660], line);
        await server.stop();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  }));
