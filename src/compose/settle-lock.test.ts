import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { silent } from "../progress.ts";
import { formatLock, type Lock, type LockedPackage, lockHash, lockRequest } from "./lock.ts";
import { settleLock } from "./settle-lock.ts";
import type { Toolbox } from "./toolbox.ts";
import { readTreefile, type Treefile } from "./treefile.ts";

/** Debian's archive cannot be had here: to every question of apt's it has no package at all. */
const emptyArchive: Toolbox = {
  root: "/",
  id: "toolbox-0",
  pinned: true,
  rootless: false,
  argv: (argv) => [...argv],
  run: async () => ({ code: 0, stdout: "", stderr: "" }),
};

const less: LockedPackage = {
  ...{ name: "less", version: "668-1", arch: "amd64", source: "less", sourceVersion: "668-1" },
  ...{ archive: "main", path: "pool/main/l/less/less_668-1_amd64.deb", size: 5, sha256: "0".repeat(64) },
};

describe("a lock whose packages Debian no longer has", () => {
  const mirror = createServer((_, response) => response.writeHead(404).end());
  const environment = { http_proxy: process.env.http_proxy, no_proxy: process.env.no_proxy };
  let scratch: string;
  let treefile: Treefile;
  let lock: Lock;
  before(async () => {
    mirror.listen(0, "127.0.0.1");
    await once(mirror, "listening");
    const address = mirror.address();
    assert.ok(typeof address === "object" && address !== null);
    // snapshot.debian.org is out of reach.
    Object.assign(process.env, { http_proxy: "http://127.0.0.1:1", no_proxy: "127.0.0.1" });
    scratch = await mkdtemp(join(tmpdir(), "atoll-settle-"));
    await writeFile(
      join(scratch, "ours.yaml"),
      `packages: [less]\nmirrors: ["http://127.0.0.1:${address.port}"]\n`,
    );
    treefile = await readTreefile(join(scratch, "ours.yaml"));
    lock = {
      ...{ format: 1, suite: "trixie", resolved: "2026-11-22T15:43:52Z", request: lockRequest(treefile) },
      ...{ base: null, packages: [less], users: ["a:x:1:1::/:/bin/sh"], groups: [] },
    };
    await writeFile(join(scratch, "ours.lock"), formatLock(lock));
  });
  after(async () => {
    mirror.close();
    for (const [name, value] of Object.entries(environment)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await rm(scratch, { recursive: true });
  });
  const settle = (state: string, whenGone: "renew" | "fail") =>
    settleLock(treefile, {
      ...{ toolbox: emptyArchive, cache: join(scratch, "cache"), state: join(scratch, state) },
      ...{ progress: silent, whenGone },
    });

  test("is an error, and nothing is written, unless renewing was asked for", async () => {
    await assert.rejects(settle("state", "fail"), { code: "PACKAGES_GONE" });
    assert.deepEqual((await readdir(scratch)).toSorted(), ["cache", "ours.lock", "ours.yaml"]);
  });

  test("is renewed into the state folder, keeps its ids, and stays as it is itself", async () => {
    const { lock: renewed, notes } = await settle("state", "renew");
    assert.equal(renewed.file, join(scratch, "state/locks", `${lockHash(lock).slice(0, 16)}.lock`));
    assert.deepEqual(renewed.value.users, lock.users);
    assert.equal(renewed.value.base, null);
    assert.match(notes.join("\n"), /no longer has/);
    assert.equal(await readFile(join(scratch, "ours.lock"), "utf8"), formatLock(lock));
  });

  test("what stands in for it serves later runs too, whether they may renew or not", async () => {
    const known = { ...lock, packages: [], resolved: "2026-12-24T00:00:00Z" };
    await mkdir(join(scratch, "other/locks"), { recursive: true });
    await writeFile(join(scratch, "other/locks", `${lockHash(lock).slice(0, 16)}.lock`), formatLock(known));
    const { lock: standIn } = await settle("other", "fail");
    assert.deepEqual(standIn.value, known);
    assert.equal(standIn.fresh, false);
  });
});
