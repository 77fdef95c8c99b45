import assert from "node:assert/strict";
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { findEtcConflicts } from "./etc-conflicts.ts";

async function folderWith(root: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  return root;
}

test("files that the owner and the new tree both changed, each in its own way", async () => {
  const root = await mkdtemp(join(tmpdir(), "atoll-etc-"));
  try {
    const shared = {
      same: "1",
      "by-owner": "1",
      "by-tree": "1",
      both: "1",
      "both-alike": "1",
      "d/gone-here": "1",
      "gone-there": "1",
    };
    const before = await folderWith(join(root, "before"), shared);
    const here = await folderWith(join(root, "here"), {
      same: "1",
      "by-owner": "2",
      "by-tree": "1",
      both: "2",
      "both-alike": "2",
      "gone-there": "2",
      "owner-only": "x",
      "new-both": "mine",
    });
    const after = await folderWith(join(root, "after"), {
      "by-owner": "1",
      "by-tree": "3",
      both: "3",
      "both-alike": "2",
      "d/gone-here": "3",
      "new-both": "theirs",
    });
    await link(join(before, "same"), join(after, "same"));
    await symlink("a", join(before, "link"));
    await symlink("b", join(here, "link"));
    await symlink("c", join(after, "link"));
    assert.deepEqual(await findEtcConflicts(before, here, after), [
      { path: "/etc/both", here: "changed", tree: "changed" },
      { path: "/etc/d/gone-here", here: "removed", tree: "changed" },
      { path: "/etc/gone-there", here: "changed", tree: "removed" },
      { path: "/etc/link", here: "changed", tree: "changed" },
      { path: "/etc/new-both", here: "added", tree: "added" },
    ]);
  } finally {
    await rm(root, { recursive: true });
  }
});
