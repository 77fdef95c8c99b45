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
  const said = (key: string) => page.includes(`\`${key}\``) || new RegExp(`\\b${key}:`).test(page);
  const missing = allKeys(TreefileSchema).filter((key) => !said(key));
  assert.deepEqual(missing, []);
});

/** Every key at every depth. */
function allKeys(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const properties =
    "properties" in schema && typeof schema.properties === "object" && schema.properties !== null
      ? Object.entries(schema.properties)
      : [];
  const items = "items" in schema ? allKeys(schema.items) : [];
  return [...properties.flatMap(([key, value]) => [key, ...allKeys(value)]), ...items];
}
