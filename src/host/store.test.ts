import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "./clock.ts";
import { entry } from "./history.ts";
import { openStore, type Store } from "./store.ts";

async function withStore(
  check: (store: Store, folder: string, warnings: string[]) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "atoll-store-"));
  const warnings: string[] = [];
  const log = { info: () => {}, warning: (text: string) => warnings.push(text), error: () => {} };
  try {
    await check(openStore(join(folder, "lib"), join(folder, "run"), log), folder, warnings);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const marker = { id: "1", verb: "upgrade", startedAt: "2026-01-01T00:00:00.000Z" };

test("what is written is read, and can be cleared", () =>
  withStore(async (store) => {
    assert.equal(await store.marker.read(), null);
    await store.marker.write(marker);
    assert.deepEqual(await store.marker.read(), marker);
    await store.marker.clear();
    await store.marker.clear();
    assert.equal(await store.marker.read(), null);
  }));

test("a damaged file, or one of another version, is nothing; and is told of", () =>
  withStore(async (store, folder, warnings) => {
    await store.marker.write(marker);
    for (const text of ["", "{", '{"id":1}', "[]"]) {
      await writeFile(join(folder, "lib/operation.json"), text);
      assert.equal(await store.marker.read(), null, text);
    }
    assert.equal(warnings.length, 4);
  }));

test("the history is newest first; a line that a power cut tore is left out, and takes no other with it", () =>
  withStore(async (store, folder) => {
    const add = (summary: string): Promise<void> => store.history.add(entry(systemClock(), "boot", summary));
    await add("one");
    await appendFile(join(folder, "lib/history.jsonl"), '{"at":"2026-');
    await add("two");
    await add("three");
    const summaries = (await store.history.read(10)).map(({ summary }) => summary);
    assert.deepEqual(summaries, ["three", "two", "one"]);
    assert.equal((await store.history.read(1)).length, 1);
  }));

test("the history does not grow for ever", () =>
  withStore(async (store, folder) => {
    const line = `${JSON.stringify(entry(systemClock(), "boot", "old"))}\n`;
    await store.history.add(entry(systemClock(), "boot", "first"));
    await appendFile(join(folder, "lib/history.jsonl"), line.repeat(1300));
    await store.history.add(entry(systemClock(), "boot", "last"));
    const lines = (await readFile(join(folder, "lib/history.jsonl"), "utf8")).split("\n").filter(Boolean);
    assert.equal(lines.length, 1001);
    assert.equal((await store.history.read(1))[0]?.summary, "last");
  }));
