import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { silent } from "../progress.ts";
import { debPath, dropDamagedDebs, fetchDebs } from "./debs.ts";
import type { Lock, LockedPackage } from "./lock.ts";

const content = Buffer.alloc(50_000, "deb");
const locked: LockedPackage = {
  ...{ name: "less", version: "668-1", arch: "amd64", source: "less", sourceVersion: "668-1" },
  ...{ archive: "main", path: "pool/main/l/less/less_668-1_amd64.deb", size: content.length },
  sha256: createHash("sha256").update(content).digest("hex"),
};
const lock: Lock = {
  ...{ format: 1, suite: "trixie", resolved: "2026-11-22T15:43:52Z", request: "", base: null },
  ...{ packages: [locked], users: [], groups: [] },
};

describe("fetchDebs", () => {
  let cache: string;
  const servers: Server[] = [];
  const proxies = ["http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"];
  const environment = new Map(proxies.map((name) => [name, process.env[name]]));
  before(async () => {
    cache = await mkdtemp(join(tmpdir(), "atoll-debs-"));
    // snapshot.debian.org, asked last, is out of reach here: whatever goes through a proxy fails.
    process.env.http_proxy = "http://127.0.0.1:1";
    process.env.no_proxy = "127.0.0.1";
    delete process.env.HTTP_PROXY;
    delete process.env.NO_PROXY;
  });
  after(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    for (const [name, value] of environment) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await rm(cache, { recursive: true });
  });

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    servers.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    return `http://127.0.0.1:${address.port}`;
  }

  function fetchFrom(...mirrors: string[]): Promise<void> {
    return fetchDebs(lock, { mirrors, securityMirrors: [] }, { cache, progress: silent, stallMs: 1000 });
  }

  function status(code: number): Promise<string> {
    return serve((_, response) => response.writeHead(code).end());
  }

  test("a file comes through the proxy that the environment names", async () => {
    const asked: string[] = [];
    process.env.http_proxy = await serve((request, response) => {
      asked.push(request.url ?? "");
      response.end(content);
    });
    await fetchFrom("http://mirror.invalid/debian").finally(() => {
      process.env.http_proxy = "http://127.0.0.1:1";
    });
    assert.deepEqual(asked, [`http://mirror.invalid/debian/${locked.path}`]);
    assert.deepEqual(await readFile(debPath(cache, locked)), content);
    await rm(debPath(cache, locked));
  });

  test("a slow source may take its time; one that falls silent is given up for the next", async () => {
    const silentOne = await serve((_, response) => response.write(content.subarray(0, 10)));
    const slow = await serve((_, response) => {
      let sent = 0;
      // Longer in all than a silence may last.
      const timer = setInterval(() => {
        response.write(content.subarray(sent, sent + 5000));
        sent += 5000;
        if (sent < content.length) return;
        clearInterval(timer);
        response.end();
      }, 110);
    });
    await fetchFrom(silentOne, slow);
    assert.deepEqual(await readdir(join(cache, "debs")), [`${locked.sha256}.deb`]);
    await rm(debPath(cache, locked));
  });

  test("gone is what every mirror says that it does not have, and nothing else", async () => {
    const [missing, gone, busy] = [await status(404), await status(410), await status(503)];
    const wrong = await serve((_, response) => response.end("another file"));
    await assert.rejects(fetchFrom(missing, gone), { code: "PACKAGES_GONE", message: /less 668-1/ });
    for (const mirrors of [[busy], [missing, busy], [wrong], ["http://127.0.0.1:1"]])
      await assert.rejects(fetchFrom(...mirrors), { code: "PACKAGES_UNFETCHED", message: /less 668-1/ });
    assert.deepEqual(await readdir(join(cache, "debs")), []);
  });

  test("a source may lead on to another", async () => {
    const there = await serve((_, response) => response.end(content));
    const here = await serve((request, response) =>
      response.writeHead(302, { location: `${there}${request.url}` }).end(),
    );
    await fetchFrom(here);
    assert.deepEqual(await readFile(debPath(cache, locked)), content);
  });

  test("a cached file whose bytes changed is dropped, and fetched anew", async () => {
    const mirror = await serve((_, response) => response.end(content));
    await fetchFrom(mirror);
    assert.deepEqual(await dropDamagedDebs(lock, cache), []);
    const damaged = Buffer.from(content);
    damaged[100] = 0;
    await writeFile(debPath(cache, locked), damaged);
    assert.deepEqual(await dropDamagedDebs(lock, cache), ["less"]);
    await fetchFrom(mirror);
    assert.deepEqual(await readFile(debPath(cache, locked)), content);
  });
});
