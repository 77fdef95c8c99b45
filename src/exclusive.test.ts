import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { withExclusive } from "./exclusive.ts";

describe("withExclusive", () => {
  let scratch: string;
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), "atoll-exclusive-"));
  });
  after(() => rm(scratch, { recursive: true }));
  const options = { step: "testing" };

  test("lets one in at a time, in a folder that it makes", async () => {
    const path = join(scratch, "below/lock");
    let inside = 0;
    const work = async (): Promise<number> => {
      inside += 1;
      await new Promise((resolve) => setImmediate(resolve));
      const seen = inside;
      inside -= 1;
      return seen;
    };
    assert.deepEqual(await Promise.all([1, 2, 3].map(() => withExclusive(path, options, work))), [1, 1, 1]);
  });

  test("gives the work's own error, and is free after it", async () => {
    const path = join(scratch, "lock");
    const failing = withExclusive(path, options, () => Promise.reject(new TypeError("ours")));
    await assert.rejects(failing, { name: "TypeError", message: "ours" });
    assert.equal(await withExclusive(path, options, async () => "done"), "done");
  });

  test("waiting can be interrupted", async () => {
    const path = join(scratch, "lock");
    const controller = new AbortController();
    await withExclusive(path, options, async () => {
      const waiting = withExclusive(
        path,
        { ...options, signal: controller.signal, onWait: () => controller.abort() },
        async () => "never",
      );
      await assert.rejects(waiting, { code: "INTERRUPTED" });
    });
  });

  test("a lock file that cannot be had is named, with flock's reason", async () => {
    await assert.rejects(
      withExclusive("/proc/atoll.lock", options, async () => "never"),
      { code: "LOCK_FILE_UNUSABLE", message: /\/proc\/atoll\.lock cannot be used: .*(open|No such)/ },
    );
  });

  test("so is one in a folder that cannot be made", async () => {
    await writeFile(join(scratch, "file"), "");
    const locking = withExclusive(join(scratch, "file/lock"), options, async () => "never");
    await assert.rejects(locking, { code: "LOCK_FILE_UNUSABLE", message: /file\/lock cannot be used/ });
  });

  test("without flock it says which package has it", async () => {
    const { PATH } = process.env;
    process.env.PATH = scratch;
    try {
      const locking = withExclusive(join(scratch, "lock"), options, async () => "never");
      await assert.rejects(locking, { code: "COMMAND_MISSING", message: /flock/ });
    } finally {
      process.env.PATH = PATH;
    }
  });
});
