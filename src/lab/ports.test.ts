import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { freePort } from "./ports.ts";

test("a port that somebody has, or that is promised, is not given", async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const busy = typeof address === "object" && address ? address.port : 0;
  try {
    const next = await freePort(new Set(), busy);
    assert.notEqual(next, busy);
    const other = await freePort(new Set([next]), next);
    assert.ok(other !== next && other !== busy);
    assert.ok((await freePort(new Set())) > 0);
  } finally {
    server.close();
  }
});
