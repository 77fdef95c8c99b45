import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run } from "../process.ts";
import type { Lock } from "./lock.ts";
import { commitMetadata, commitSource } from "./metadata.ts";
import { readTreefile } from "./treefile.ts";

const lock: Lock = {
  ...{ format: 1, suite: "trixie", resolved: "2026-11-22T15:43:52Z", request: "", base: null },
  ...{ packages: [], users: [], groups: [] },
};
const made = { inputs: "inputs", toolbox: "toolbox-0" };
const tree = { id: "0123456789abcdef", version: "1", timestamp: 0 };

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), "atoll-metadata-"));
  for (const name of ["clone/os", "tarball/os"]) {
    await mkdir(join(scratch, name), { recursive: true });
    await writeFile(join(scratch, name, "ours.yaml"), "packages: [tmux]\n");
  }
  await git("init", "--quiet");
  await git("add", ".");
  await git("commit", "--quiet", "--message=First");
});
after(() => rm(scratch, { recursive: true }));

function git(...words: string[]): Promise<unknown> {
  const who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
  return run(["git", "-C", join(scratch, "clone"), ...who, ...words], { step: "making a clone" });
}

async function sourceOf(path: string): Promise<unknown> {
  const { "atoll.source": source = "null" } = await commitSource(await readTreefile(path));
  return JSON.parse(source);
}

test("a commit says the same of itself in a clone and without git", async () => {
  const [one, other] = await Promise.all(
    ["clone", "tarball"].map(async (name) =>
      commitMetadata(await readTreefile(join(scratch, name, "os/ours.yaml")), lock, made, tree),
    ),
  );
  assert.deepEqual(one, other);
});

test("where it was made from is told beside it: through links, and with changes that git does not have", async () => {
  await symlink(join(scratch, "clone"), join(scratch, "link"));
  const source = await sourceOf(join(scratch, "link/os/ours.yaml"));
  assert.ok(typeof source === "object" && source !== null && "git" in source);
  assert.match(String(source.git), /^[0-9a-f]{40}$/);
  assert.deepEqual(source, { treefile: "os/ours.yaml", git: source.git, changed: false });
  await writeFile(join(scratch, "clone/os/motd"), "new\n");
  assert.deepEqual(await sourceOf(join(scratch, "clone/os/ours.yaml")), { ...source, changed: true });
  assert.deepEqual(await sourceOf(join(scratch, "tarball/os/ours.yaml")), {
    ...{ treefile: "ours.yaml", git: null, changed: false },
  });
});
