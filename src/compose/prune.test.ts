import assert from "node:assert/strict";
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { withExclusive } from "../exclusive.ts";
import { exists } from "../paths.ts";
import { silent } from "../progress.ts";
import { findEntries, listCache } from "./cache.ts";
import { markUsed, usingCache } from "./cache-use.ts";
import { previewPrune, pruneCache, tidyCache } from "./prune.ts";
import { toolboxPath } from "./toolbox.ts";

const hash = (digit: string, length: number): string => digit.repeat(length);
const names = {
  toolbox: `toolbox-${hash("0", 12)}`,
  package: `debs/${hash("1", 64)}.deb`,
  partial: `debs/${hash("1", 64)}.deb.77.part`,
  image: `images/${hash("2", 16)}.qcow2`,
  initramfs: `initramfs/${hash("3", 16)}.img`,
  lists: `apt/${hash("5", 12)}`,
  tree: `tree-${hash("4", 16)}-77`,
  evidence: "failed-tests/2026-11-22T155755.098Z-update",
} as const;

/** A cache with one thing of most kinds, some of them folders with something in them. */
async function withCache(check: (cache: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "atoll-cache-"));
  const cache = join(folder, "cache");
  try {
    for (const name of Object.values(names)) {
      const isFolder = /^(toolbox|tree|failed|apt)/.test(name);
      const file = join(cache, isFolder ? join(name, "usr/bin/a") : name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, Buffer.alloc(10_000, 1));
    }
    await check(cache);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const dayMs = 86_400_000;
/** Nobody can set back when a file was changed, so the tests look from the future. */
const inDays = (days: number): number => Date.now() + days * dayMs;
const sorted = (entries: readonly { readonly name: string }[]): string[] =>
  entries.map(({ name }) => name).toSorted();

test("what is in the cache is told with its size on the disk, and nothing else in the folder is", () =>
  withCache(async (cache) => {
    await writeFile(join(cache, "notes.txt"), "mine");
    await mkdir(join(cache, "toolbox-mine"));
    await writeFile(join(cache, "debs", "mine.deb"), "mine");
    const entries = await listCache(cache);
    assert.deepEqual(sorted(entries), Object.values(names).toSorted());
    for (const { name, bytes, inUse } of entries) {
      assert.ok(bytes >= 10_000 && bytes < 100_000, `${name}: ${bytes}`);
      assert.equal(inUse, null);
    }
    assert.deepEqual(await listCache(join(cache, "none")), []);
  }));

test("what was used within the time stays; used again, a thing is as good as new", () =>
  withCache(async (cache) => {
    const options = { cache, progress: silent, olderThan: 30 * dayMs };
    const { removed } = await previewPrune({ ...options, now: inDays(29) });
    assert.deepEqual(
      sorted(removed),
      [names.partial, names.tree].toSorted(),
      "only what work left a day ago",
    );
    const gone = await pruneCache({ ...options, now: inDays(31) });
    assert.deepEqual(sorted(gone.removed), Object.values(names).toSorted());
    assert.ok(gone.removed.every(({ bytes }) => bytes >= 10_000));
    for (const name of Object.values(names)) assert.equal(await exists(join(cache, name)), false, name);
    assert.deepEqual(await pruneCache({ ...options, now: inDays(31) }), { removed: [], kept: [] });
  }));

test("a toolbox is as old as its last use, not as its folder", () =>
  withCache(async (cache) => {
    const [before] = (await findEntries(cache)).filter(({ kind }) => kind === "toolbox");
    await new Promise((resolve) => setTimeout(resolve, 20));
    await markUsed(join(cache, `${names.toolbox}.lock`));
    const [after] = (await findEntries(cache)).filter(({ kind }) => kind === "toolbox");
    assert.ok(before && after && before.usedAt < after.usedAt);
  }));

test("a preview removes nothing", () =>
  withCache(async (cache) => {
    await previewPrune({ cache, progress: silent, olderThan: 0 });
    assert.equal((await listCache(cache)).length, Object.keys(names).length);
  }));

test("in use: this Atoll's toolbox, one that a program runs in, an image that a machine is made of", () =>
  withCache(async (cache) => {
    const own = await toolboxPath(cache);
    await mkdir(own);
    await link(join(cache, names.image), join(cache, "..", "base.qcow2"));
    const options = { cache, progress: silent, olderThan: 0 };
    const { kept } = await pruneCache({ ...options, now: inDays(400) });
    assert.deepEqual(sorted(kept), [basename(own), names.image].toSorted());
    assert.ok((await exists(own)) && (await exists(join(cache, names.image))));
    await rm(join(cache, "..", "base.qcow2"));
    const later = await pruneCache({ ...options, now: inDays(400) });
    assert.deepEqual(sorted(later.removed), [names.image]);

    const other = join(cache, names.toolbox);
    await mkdir(other);
    const proc = join(cache, "..", "proc");
    await mkdir(join(proc, "12"), { recursive: true });
    await symlink(other, join(proc, "12", "root"));
    const found = await findEntries(cache, proc);
    assert.equal(found.find(({ path }) => path === other)?.inUse, "a program runs in it");
  }));

test("a link in the cache, and what it leads to, are left alone", () =>
  withCache(async (cache) => {
    const elsewhere = join(cache, "..", "elsewhere");
    await mkdir(elsewhere);
    await symlink(elsewhere, join(cache, `toolbox-${hash("9", 12)}`));
    await pruneCache({ cache, progress: silent, olderThan: 0, now: inDays(1) });
    assert.ok(await exists(elsewhere));
    assert.ok(await exists(join(cache, `toolbox-${hash("9", 12)}`)));
  }));

test("who works with the cache is waited for, and not disturbed by tidying", () =>
  withCache(async (cache) => {
    const order: string[] = [];
    const told = Promise.withResolvers<void>();
    const progress = { step: () => {}, detail: () => told.resolve() };
    let pruning: Promise<unknown> = Promise.resolve();
    await usingCache({ cache, progress: silent }, async () => {
      assert.deepEqual(await tidyCache({ cache, progress: silent, now: inDays(400) }), []);
      pruning = pruneCache({ cache, progress, olderThan: 0 }).then(() => order.push("pruned"));
      await told.promise;
      order.push("worked");
    });
    await pruning;
    assert.deepEqual(order, ["worked", "pruned"]);
  }));

test("a toolbox whose lock is held stays, whoever holds it", () =>
  withCache(async (cache) => {
    const path = join(cache, names.toolbox);
    await withExclusive(`${path}.lock`, { step: "testing" }, async () => {
      const { kept } = await pruneCache({ cache, progress: silent, olderThan: 0 });
      assert.deepEqual(
        kept.map(({ name, inUse }) => [name, inUse]),
        [[names.toolbox, "another atoll works with it"]],
      );
    });
    assert.ok(await exists(join(path, "usr/bin/a")));
  }));

test("tidying takes what is stale for sure, and leaves what only the network or a person can give", () =>
  withCache(async (cache) => {
    assert.deepEqual(sorted(await tidyCache({ cache, progress: silent, now: inDays(2) })), [
      names.partial,
      names.tree,
    ]);
    const removed = await tidyCache({ cache, progress: silent, now: inDays(31) });
    assert.deepEqual(sorted(removed), [names.lists, names.image, names.initramfs, names.toolbox]);
    assert.deepEqual(sorted(await listCache(cache)), [names.package, names.evidence].toSorted());
  }));
