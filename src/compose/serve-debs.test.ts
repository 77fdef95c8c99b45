import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../process.ts";
import { debPath } from "./debs.ts";
import type { Lock, LockedPackage } from "./lock.ts";
import { serveDebs } from "./serve-debs.ts";

const control =
  "Package: ours\nVersion: 1:2-3\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: a test\n";

async function makeDeb(scratch: string): Promise<string> {
  await mkdir(join(scratch, "ours/DEBIAN"), { recursive: true });
  await writeFile(join(scratch, "ours/DEBIAN/control"), control);
  const deb = join(scratch, "ours.deb");
  await run(["dpkg-deb", "--root-owner-group", "--build", join(scratch, "ours"), deb], { step: "building" });
  return deb;
}

test("a lock's files are an apt repository: an index by each file's own words, the files by their hash", async (t) => {
  const cache = await mkdtemp(join(tmpdir(), "atoll-serve-"));
  t.after(() => rm(cache, { recursive: true }));
  const deb = await makeDeb(cache);
  const bytes = await readFile(deb);
  const locked: LockedPackage = {
    ...{ name: "ours", version: "1:2-3", arch: "all", source: "ours", sourceVersion: "1:2-3" },
    ...{ archive: "main", path: "pool/main/o/ours/ours_2-3_all.deb", size: bytes.length },
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
  const lock: Lock = {
    ...{ format: 1, suite: "trixie", resolved: "2026-11-22T15:43:52Z", request: "", base: null },
    ...{ packages: [locked], users: [], groups: [] },
  };
  await mkdir(join(cache, "debs"));
  await copyFile(deb, debPath(cache, locked));
  const served = await serveDebs(lock, { cache });
  try {
    const read = async (path: string) =>
      Buffer.from(await (await fetch(`${served.url}${path}`)).arrayBuffer());
    const index = await read("./Packages");
    const { sha256 } = locked;
    assert.equal(
      index.toString(),
      `${control}Filename: ./${sha256}.deb\nSize: ${bytes.length}\nSHA256: ${sha256}\n`,
    );
    const release = (await read("./Release")).toString();
    assert.match(release, /^Suite: trixie\nCodename: trixie\n/);
    assert.ok(release.includes(createHash("sha256").update(index).digest("hex")));
    assert.deepEqual(await read(`./${sha256}.deb`), bytes);
    assert.equal((await fetch(`${served.url}../../etc/passwd`)).status, 404);
  } finally {
    await served.close();
  }
});
