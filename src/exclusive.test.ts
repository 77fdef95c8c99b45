import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { hasCode } from "./errors.ts";
import { tryExclusive, withExclusive, withShared } from "./exclusive.ts";

async function withLock(check: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "atoll-lock-"));
  try {
    await check(join(folder, "below", "a.lock"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const step = "testing";
const attempt = (path: string): Promise<object | null> => tryExclusive(path, { step }, async () => ({}));

test("who shares a lock keeps out only who wants it alone", () =>
  withLock(async (path) => {
    await withShared(path, { step }, async () => {
      assert.equal(await withShared(path, { step }, async () => "both"), "both");
      assert.equal(await attempt(path), null);
    });
    assert.notEqual(await attempt(path), null, "it is let go at the end");
    await withExclusive(path, { step }, async () => assert.equal(await attempt(path), null));
  }));

test("who has to wait is told so, goes on when the lock is free, and can be interrupted", () =>
  withLock(async (path) => {
    const order: string[] = [];
    const told = Promise.withResolvers<void>();
    let second: Promise<unknown> = Promise.resolve();
    await withExclusive(path, { step }, async () => {
      const stop = new AbortController();
      const stopped = withExclusive(path, { step, signal: stop.signal }, async () => order.push("never"));
      stop.abort();
      await assert.rejects(stopped, (error) => hasCode(error, "INTERRUPTED"));
      second = withExclusive(path, { step, onWait: told.resolve }, async () => order.push("second"));
      await told.promise;
      order.push("first");
    });
    await second;
    assert.deepEqual(order, ["first", "second"]);
  }));

test("what fails under the lock fails, and lets it go; a lock that cannot be made says why", () =>
  withLock(async (path) => {
    const failing = withExclusive(path, { step }, () => Promise.reject(new RangeError("no")));
    await assert.rejects(failing, RangeError);
    assert.notEqual(await attempt(path), null);
    await assert.rejects(
      withExclusive("/proc/self/none.lock", { step }, async () => {}),
      (error) => hasCode(error, "LOCK_FILE_UNUSABLE") && error.message.includes("none.lock"),
    );
    const file = dirname(path);
    await rm(file, { recursive: true });
    await writeFile(file, "");
    const locking = withExclusive(path, { step }, async () => "never");
    await assert.rejects(locking, { code: "LOCK_FILE_UNUSABLE", message: /a\.lock cannot be used/ });
  }));

test("without flock it says which package has it", () =>
  withLock(async (path) => {
    const { PATH } = process.env;
    process.env.PATH = dirname(path);
    try {
      const locking = withExclusive(path, { step }, async () => "never");
      await assert.rejects(locking, { code: "COMMAND_MISSING", message: /flock/ });
    } finally {
      process.env.PATH = PATH;
    }
  }));
