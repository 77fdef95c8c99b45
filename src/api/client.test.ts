import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { type HostClient, HostFailure, hostClient } from "./client.ts";

/** Runs `work` with a client of a daemon that answers as `listener` says. */
async function withDaemon(
  listener: RequestListener,
  work: (client: HostClient, socketPath: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "atoll-client-"));
  const socketPath = join(folder, "api.sock");
  const server = createServer(listener);
  server.listen(socketPath);
  await once(server, "listening");
  try {
    await work(hostClient({ name: "box", socketPath }), socketPath);
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true });
  }
}

test("asks by the routes of the API, with JSON both ways", async () => {
  const seen: string[] = [];
  const listener: RequestListener = (request, response) => {
    void text(request).then((body) => {
      seen.push(`${request.method} ${request.url} ${body}`.trim());
      response.setHeader("content-type", "application/json");
      response.end('{"id": "1"}');
    });
  };
  await withDaemon(listener, async (client) => {
    await client.begin("deploy", { target: "1.0" });
    await client.diff("booted", "a b&c");
    await client.history(5);
    await client.health(true);
    await client.cancel("1");
  });
  assert.deepEqual(seen, [
    'POST /v1/host/deploy {"target":"1.0"}',
    "GET /v1/host/diff?from=booted&to=a+b%26c",
    "GET /v1/host/history?limit=5",
    "GET /v1/host/health?fresh=true",
    "DELETE /v1/operations/1",
  ]);
});

test("a refusal of the daemon comes out as it was told", async () => {
  const body = { code: "BUSY", message: "busy with upgrade", next: "wait", parameters: { verb: "upgrade" } };
  await withDaemon(
    (_request, response) => {
      response.statusCode = 409;
      response.end(JSON.stringify({ error: body }));
    },
    async (client) => {
      await assert.rejects(client.begin("rollback", {}), (error) => {
        assert.ok(error instanceof HostFailure);
        assert.deepEqual(error.body, body);
        return true;
      });
    },
  );
});

test("events come one by one, however the stream is cut into pieces", async () => {
  const lines = [
    { type: "step", at: "2026-11-22T15:00:00Z", step: "fetching" },
    { type: "detail", at: "2026-11-22T15:00:01Z", detail: "12 %" },
  ];
  await withDaemon(
    (_request, response) => {
      const whole = `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`;
      response.write(whole.slice(0, 30));
      setImmediate(() => response.end(whole.slice(30)));
    },
    async (client) => {
      const events: unknown[] = [];
      for await (const event of client.events("1")) events.push(event);
      assert.deepEqual(events, lines);
    },
  );
});

test("a daemon that is silent is given up, but not while it makes fresh checks", async () => {
  await withDaemon(
    (request, response) => {
      if (request.url?.includes("fresh")) setTimeout(() => response.end('{"report": null}'), 60);
    },
    async ({ name }, socketPath) => {
      const hasty = hostClient({ name, socketPath, answerWithin: 20 });
      await assert.rejects(hasty.status(), (error) => hasCode(error, "HOST_UNREACHABLE"));
      assert.deepEqual(await hasty.health(true), { report: null });
    },
  );
});

test("no daemon, a daemon that goes away, and one that talks nonsense are all unreachable, each with its cause", async () => {
  const absent = hostClient({ name: "box", socketPath: "/nonexistent/api.sock" });
  await assert.rejects(
    absent.status(),
    (error) => hasCode(error, "HOST_UNREACHABLE") && /atolld\.service/.test(error.message),
  );
  await withDaemon(
    (request) => request.socket.destroy(),
    (client) => assert.rejects(client.status(), (error) => hasCode(error, "HOST_UNREACHABLE")),
  );
  await withDaemon(
    (_request, response) => response.end("<html>"),
    (client) =>
      assert.rejects(
        client.status(),
        (error) => hasCode(error, "HOST_UNREACHABLE") && /not as Atoll's daemon/.test(error.message),
      ),
  );
});
