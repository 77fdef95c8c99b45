import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openSigningKey } from "./signing.ts";
import type { Toolbox } from "./toolbox.ts";

const noToolbox: Toolbox = {
  root: "/",
  id: "toolbox-0",
  pinned: true,
  rootless: false,
  argv: (argv) => [...argv],
  run: () => Promise.reject(new Error("no key may be made")),
};

test("a repository with trees gets no second key: machines would refuse all that it signs", async (t) => {
  const state = await mkdtemp(join(tmpdir(), "atoll-signing-"));
  t.after(() => rm(state, { recursive: true }));
  const repository = join(state, "repo");
  await mkdir(join(repository, "refs/heads/atoll/x86_64"), { recursive: true });
  await writeFile(join(repository, "refs/heads/atoll/x86_64/stable"), `${"0".repeat(64)}\n`);
  await assert.rejects(openSigningKey(join(state, "keys"), { toolbox: noToolbox, repository }), {
    code: "SIGNING_KEY_LOST",
    message: /repo is not in .*keys$/,
  });
});

test("a fingerprint that cannot be read is no reason for a new key", async (t) => {
  const state = await mkdtemp(join(tmpdir(), "atoll-signing-"));
  t.after(() => rm(state, { recursive: true }));
  await mkdir(join(state, "keys/fingerprint"), { recursive: true });
  const options = { toolbox: noToolbox, repository: join(state, "repo") };
  await assert.rejects(openSigningKey(join(state, "keys"), options), { code: "EISDIR" });
});
