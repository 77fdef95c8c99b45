import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { serveFolder } from "./serve.ts";

/** Asks with the path exactly as given; fetch would tidy it up. */
async function get(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: string; headers: NodeJS.Dict<string | string[]> }> {
  const call = request({ port, host: "127.0.0.1", path, agent: false, ...options });
  call.end();
  const [response] = await once(call, "response");
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode, body, headers: response.headers };
}

test("serves files below its folder, and nothing else", async () => {
  const outside = await mkdtemp(join(tmpdir(), "atoll-serve-"));
  const folder = join(outside, "repo");
  await mkdir(join(folder, "refs"), { recursive: true });
  await writeFile(join(folder, "config"), "[core]\n");
  await writeFile(join(outside, "secret"), "secret");
  await symlink(join(outside, "secret"), join(folder, "link"));
  const server = serveFolder(folder, "/repo");
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  try {
    const config = await get(port, "/repo/config");
    assert.equal(config.status, 200);
    assert.equal(config.body, "[core]\n");
    const again = await get(port, "/repo/config", {
      headers: { "if-none-match": String(config.headers.etag) },
    });
    assert.deepEqual([again.status, again.body], [304, ""]);
    const head = await get(port, "/repo/config", { method: "HEAD" });
    assert.deepEqual([head.status, head.body, head.headers["content-length"]], [200, "", "7"]);
    for (const path of [
      "/repo/none",
      "/repo/refs",
      "/repo/",
      "/repo/../secret",
      "/repo/%2e%2e/secret",
      "/repo/..%2fsecret",
      "/repo/link",
      "/repo/%",
      "/secret",
      "/repository/config",
    ]) {
      assert.equal((await get(port, path)).status, 404, path);
    }
    assert.equal((await get(port, "/repo/config", { method: "PUT" })).status, 405);
  } finally {
    server.close();
    await rm(outside, { recursive: true });
  }
});
