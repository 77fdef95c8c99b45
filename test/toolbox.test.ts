import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openToolbox, type Toolbox } from "../src/compose/toolbox.ts";
import { cacheDirectory } from "../src/paths.ts";
import { silent } from "../src/progress.ts";

describe("a program in the toolbox", { timeout: 600_000 }, () => {
  let toolbox: Toolbox;
  let scratch: string;
  before(async () => {
    const cache = cacheDirectory();
    await mkdir(cache, { recursive: true });
    toolbox = await openToolbox({ cache, progress: silent });
    scratch = await mkdtemp(join(cache, "test-"));
  });
  after(() => rm(scratch, { recursive: true }));
  const step = "testing";

  test("is Debian 13's, whatever this computer runs", async () => {
    const { stdout } = await toolbox.run(["cat", "/etc/os-release"], { step });
    assert.match(stdout, /VERSION_CODENAME=trixie/);
  });

  test("sees folders at their own paths, and starts in the one it is given", async () => {
    const folder = join(scratch, "a folder");
    await mkdir(folder);
    await writeFile(join(folder, "file"), "content");
    const { stdout } = await toolbox.run(["sh", "-c", "pwd; cat file"], { step, cwd: folder });
    assert.equal(stdout, `${folder}\ncontent`);
  });

  test("has nothing of the caller's environment and umask in what it makes", async () => {
    process.env.ATOLL_TEST_SECRET = "x";
    const umask = process.umask(0o077);
    try {
      const { stdout } = await toolbox.run(["env"], { step, env: { OURS: "y" } });
      assert.ok(!stdout.includes("ATOLL_TEST_SECRET"));
      assert.match(stdout, /^OURS=y$/m);
      assert.match(stdout, /^LC_ALL=C\.UTF-8$/m);
      await toolbox.run(["sh", "-c", "echo > made"], { step, cwd: scratch });
      assert.equal((await stat(join(scratch, "made"))).mode & 0o777, 0o644);
    } finally {
      process.umask(umask);
      delete process.env.ATOLL_TEST_SECRET;
    }
  });

  test("that one spawns oneself has the pid that spawn gives, and gets its signals", async () => {
    const [program, ...words] = toolbox.argv(["sh", "-c", "echo up; exec sleep 600"]);
    const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(child.stdout, "data");
      assert.match(await readFile(`/proc/${child.pid}/cmdline`, "utf8"), /^(?:sleep|sh)\0/);
    } finally {
      child.kill("SIGTERM");
    }
    const [, signal]: (number | string | null)[] = await once(child, "exit");
    assert.equal(signal, "SIGTERM");
  });
});
