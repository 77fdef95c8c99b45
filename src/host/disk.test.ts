import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { localDisk } from "./disk.ts";

test("what a folder takes: files, links and directories below it, nothing that a link leads to", async () => {
  const folder = await mkdtemp(join(tmpdir(), "atoll-disk-"));
  try {
    await mkdir(join(folder, "usr/bin"), { recursive: true });
    await writeFile(join(folder, "usr/bin/a"), Buffer.alloc(100_000, 1));
    await writeFile(join(folder, "outside"), Buffer.alloc(1_000_000, 1));
    await symlink("nowhere", join(folder, "usr/broken"));
    await symlink("../outside", join(folder, "usr/link"));
    const { bytes, inodes, directories } = await localDisk().usage(join(folder, "usr"));
    assert.deepEqual([inodes, directories], [4, 1]);
    assert.ok(bytes >= 100_000 && bytes < 500_000, String(bytes));
  } finally {
    await rm(folder, { recursive: true });
  }
});
