import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../process.ts";
import { imageScratch, sweep } from "./sweep.ts";
import type { Toolbox } from "./toolbox.ts";

/** This computer itself: what the test makes belongs to who runs it. */
const here: Toolbox = {
  ...{ root: "/", id: "toolbox-0", pinned: true, rootless: false },
  argv: (argv) => [...argv],
  run: (argv, { step }) => run(argv, { step }),
};

test("what a killed run left goes after a week; what is younger or called otherwise stays", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "atoll-sweep-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, ".atoll-image-aBcD12/sysroot"), { recursive: true });
  await writeFile(join(folder, ".image-of-mine"), "");
  const day = 86_400_000;
  const after = (days: number) => sweep(folder, imageScratch, here, new Date(Date.now() + days * day));
  await after(6.9);
  assert.deepEqual((await readdir(folder)).toSorted(), [".atoll-image-aBcD12", ".image-of-mine"]);
  await after(7.1);
  assert.deepEqual(await readdir(folder), [".image-of-mine"]);
  await sweep(join(folder, "not-there"), imageScratch, here);
});
