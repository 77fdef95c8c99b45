import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exitCodes, hasCode } from "../../errors.ts";
import type { CliContext } from "../command.ts";
import { recordedTerminal } from "../recorded-terminal.ts";
import { localTransport } from "../transport.ts";
import { cacheCommand } from "./cache.ts";

async function withCache(
  check: (run: (words: string) => Promise<{ output: string; code: number }>, cache: string) => Promise<void>,
): Promise<void> {
  const cache = await mkdtemp(join(tmpdir(), "atoll-cache-"));
  const { signal } = new AbortController();
  const run = async (words: string): Promise<{ output: string; code: number }> => {
    const { terminal, output } = recordedTerminal();
    let code: number = exitCodes.done;
    const context: CliContext = {
      ...{ terminal, env: { ATOLL_CACHE: cache }, signal, sleep: async () => {} },
      transport: localTransport(signal),
      exitWith: (value) => {
        code = value;
      },
    };
    await cacheCommand(context).parseAsync(words.split(" "), { from: "user" });
    return { output: output(), code };
  };
  try {
    await mkdir(join(cache, "debs"));
    for (const digit of "abc")
      await writeFile(join(cache, "debs", `${digit.repeat(64)}.deb`), "x".repeat(4096));
    await check(run, cache);
  } finally {
    await rm(cache, { recursive: true });
  }
}

test("list tells by kind, and each thing as JSON", () =>
  withCache(async (run, cache) => {
    const { output } = await run("list");
    assert.match(output, /^WHAT +SIZE +IN USE +LAST USED\n3 packages +12 KiB +\d{4}-/);
    assert.match(output, new RegExp(`12 KiB in ${cache}\n$`));
    const document = JSON.parse((await run("list --json")).output);
    assert.equal(document.bytes, 3 * 4096);
    assert.deepEqual(Object.keys(document.entries[0]), ["kind", "name", "bytes", "usedAt", "inUse"]);
  }));

test("prune tells what goes, what went, and when there is nothing", () =>
  withCache(async (run, cache) => {
    const none = await run("prune");
    assert.equal(none.code, exitCodes.nothingToDo);
    assert.match(none.output, /all was used within 30d/);
    const preview = await run("prune --older-than 0s --dry-run");
    assert.match(preview.output, /^would remove 3 packages, 12 KiB\n12 KiB would be freed/);
    assert.equal((await readdir(join(cache, "debs"))).length, 3);
    const document = JSON.parse((await run("prune --older-than 0s --json")).output);
    assert.deepEqual([document.dryRun, document.bytes, document.removed.length], [false, 3 * 4096, 3]);
    assert.deepEqual(await readdir(join(cache, "debs")), []);
    await assert.rejects(run("prune --older-than soon"), (error) => hasCode(error, "USAGE"));
  }));
