import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { projectRoot } from "../paths.ts";
import { TreefileSchema, treefileJsonSchema } from "./treefile-schema.ts";

const reference = join(projectRoot, "docs/reference");

test("the published JSON Schema is the one in use", async () => {
  const published = await readFile(join(reference, "treefile.schema.json"), "utf8");
  assert.equal(published, treefileJsonSchema(), "run `scripts/run docs`");
});

test("the reference explains every key", async () => {
  const page = await readFile(join(reference, "treefile.md"), "utf8");
  const missing = Object.keys(TreefileSchema.properties).filter((key) => !page.includes(`\`${key}\``));
  assert.deepEqual(missing, []);
});
