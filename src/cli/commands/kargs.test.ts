import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { hostClient } from "../../api/client.ts";
import type { CliContext } from "../command.ts";
import { recordedTerminal } from "../recorded-terminal.ts";
import type { Connection } from "../transport.ts";
import { kargsCommand } from "./kargs.ts";

test("what is asked for is what the daemon is asked, also to try again what failed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "atoll-kargs-"));
  const socketPath = join(folder, "api.sock");
  const bodies: unknown[] = [];
  const refusal = { code: "ON_TRIAL", message: "on trial", next: "wait", parameters: {} };
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      bodies.push(JSON.parse(body));
      response.writeHead(409).end(JSON.stringify({ error: refusal }));
    });
  });
  server.listen(socketPath);
  await once(server, "listening");
  try {
    const client = hostClient({ name: "box", socketPath });
    const connection: Connection = { client, outside: true, renew: async () => connection };
    const context: CliContext = {
      ...{ terminal: recordedTerminal().terminal, env: {}, signal: new AbortController().signal },
      ...{ sleep: async () => {}, exitWith: () => {} },
      transport: { remote: false, connect: async () => connection },
    };
    const words = ["--append", "quiet", "--append", "nosmt", "--delete", "rw", "--again", "--reboot"];
    await assert.rejects(kargsCommand(context).parseAsync(words, { from: "user" }), /on trial/);
    assert.deepEqual(bodies, [{ append: ["quiet", "nosmt"], delete: ["rw"], again: true, reboot: true }]);
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true });
  }
});
