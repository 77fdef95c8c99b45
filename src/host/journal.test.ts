import assert from "node:assert/strict";
import { test } from "node:test";
import { boots, type Journal } from "./journal.ts";

const signal = new AbortController().signal;

/** A journal of one boot for each of `endings`, the newest last, and of the boot that runs. */
function journalOf(endings: readonly string[]): Journal {
  const startedAt = "2026-01-01T00:00:00.000Z";
  return {
    boots: async () =>
      [...endings, "now"].map((_, index) => ({
        index: index - endings.length,
        id: String(index),
        startedAt,
      })),
    commandLine: async (id) => endings[Number(id)] ?? "",
    summary: async () => [],
    unit: async () => [],
  };
}

const good = "atoll.id=ok-1 atoll.boot=good";
const tries = [1, 2, 3].map((attempt) => `atoll.id=bad-1 atoll.boot=trial-${attempt}`);
const fallback = "atoll.id=ok-1 atoll.boot=fallback atoll.failed=bad-1";

async function found(endings: readonly string[]): Promise<string[]> {
  const list = await boots(journalOf(endings), "bad-1", signal);
  return list.map(({ boot, attempt }) => `${boot.id} try ${attempt}`);
}

test("the boots of a trial are the last ones in a row", async () => {
  const three = ["1 try 1", "2 try 2", "3 try 3"];
  assert.deepEqual(await found([good, ...tries]), three);
  assert.deepEqual(await found([good, ...tries, good]), [], "another boot came since");
  assert.deepEqual(
    await found([...tries, good, ...tries.slice(1)]),
    ["4 try 2", "5 try 3"],
    "one left no log",
  );
});

test("a fallback that a cut ended is no end of them; one that was remembered is", async () => {
  assert.deepEqual(await found([good, ...tries, fallback, fallback]), ["1 try 1", "2 try 2", "3 try 3"]);
  const again = await found([...tries, fallback, ...tries]);
  assert.deepEqual(again, ["4 try 1", "5 try 2", "6 try 3"]);
});
