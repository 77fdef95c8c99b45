import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hashInputs, recipeSources } from "./inputs.ts";
import type { Lock } from "./lock.ts";
import { readTreefile } from "./treefile.ts";

const lock: Lock = {
  ...{ format: 1, suite: "trixie", resolved: "2026-11-22T15:43:52Z", request: "", base: null },
  ...{ packages: [], users: [], groups: [] },
};

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), "atoll-inputs-"));
});
after(() => rm(scratch, { recursive: true }));

async function hashOf(treefile: string): Promise<string> {
  const ids = { users: [], groups: [] };
  return hashInputs(await readTreefile(treefile), lock, ids, Buffer.from("key"), "toolbox-0");
}

test("what a link of `files` leads to counts, a file or a folder", async () => {
  await mkdir(join(scratch, "folder"));
  await writeFile(join(scratch, "motd"), "one\n");
  await writeFile(join(scratch, "folder/issue"), "one\n");
  await symlink("motd", join(scratch, "motd-link"));
  await symlink("folder", join(scratch, "folder-link"));
  const treefile = join(scratch, "linked.yaml");
  const rules = ["{ from: motd-link, to: /etc/motd }", "{ from: folder-link, to: /etc/ours }"];
  await writeFile(treefile, `files: [${rules.join(", ")}]\n`);
  const first = await hashOf(treefile);
  assert.equal(await hashOf(treefile), first);
  await writeFile(join(scratch, "motd"), "two\n");
  const second = await hashOf(treefile);
  assert.notEqual(second, first);
  await writeFile(join(scratch, "folder/issue"), "two\n");
  assert.notEqual(await hashOf(treefile), second);
});

test("every module that a tree is made by counts, and no test", async () => {
  const sources = await recipeSources();
  for (const name of ["base", "compose", "deb-repository", "image", "lay", "shape", "toolbox", "tree"]) {
    assert.ok(sources.includes(`${name}.ts`), name);
  }
  assert.deepEqual(
    sources.filter((name) => name.includes(".test.")),
    [],
  );
});
