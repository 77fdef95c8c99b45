/** docs/reference/units.md against the code: every option is there, and every example is taken. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { projectRoot } from "../../paths.ts";
import { atollKeys } from "./atoll-options.ts";
import { expandNames } from "./expand.ts";
import { deprecatedFleetKeys, fleetKeys } from "./fleet-options.ts";
import { isUnitName } from "./names.ts";
import { readUnit } from "./unit.ts";

const page = readFileSync(join(projectRoot, "docs", "reference", "units.md"), "utf8");

/** The rows of the tables of a section of the page: option and its examples. */
function rows(title: string): [string, string[]][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(title)) ?? "";
  return Array.from(section.matchAll(/^\| `(\w+)=` \| ([^|]+) \|/gm), ([, key = "", examples = ""]) => [
    key,
    Array.from(examples.matchAll(/`([^`]+)`/g), ([, example = ""]) => example.replace(`${key}=`, "")),
  ]);
}

test("names every option, with examples that are valid", () => {
  for (const [section, keys] of [
    ["X-Fleet", fleetKeys],
    ["X-Atoll", atollKeys],
  ] as const) {
    const options = rows(`\`[${section}]\``);
    assert.deepEqual(
      options.map(([key]) => key),
      [...keys],
    );
    for (const [key, examples] of options) {
      for (const example of examples) {
        const read = readUnit("web.service", `[${section}]\n${key}=${example}\n`);
        assert.ok("unit" in read && read.unit.warnings.length === 0, `${key}=${example}`);
      }
    }
  }
  for (const key of deprecatedFleetKeys.keys()) assert.ok(page.includes(`\`${key}\``), key);
});

test("begins with a unit that does what is said of it", () => {
  const text = /```ini\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  const read = readUnit("web@1.container", text);
  assert.ok("unit" in read);
  const { rules, warnings } = read.unit;
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    [
      rules.metadata,
      rules.conflicts,
      rules.spread.map(({ key }) => key),
      rules.requests.memory,
      rules.volumes,
    ],
    [{ disk: ["ssd"] }, ["web@*.container"], ["zone"], 256 * 2 ** 20, ["site"]],
  );
});

test("has types and expansions as they are", () => {
  const types = /## Names\n([\s\S]*?)### /.exec(page)?.[1] ?? "";
  for (const [, cell = "", templates] of types.matchAll(/^\| ((?:`\w+` ?)+)\|[^|]+\| (yes|no) \|$/gm)) {
    for (const [, type] of cell.matchAll(/`(\w+)`/g)) {
      assert.ok(isUnitName(`a.${type}`), type);
      assert.equal(isUnitName(`a@1.${type}`), templates === "yes", type);
    }
  }
  for (const [, pattern = ""] of types.matchAll(/`([^`]*\{[^`]*)`/g))
    assert.ok(expandNames(pattern).length > 1, pattern);
});
