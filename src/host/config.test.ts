import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseDuration } from "../duration.ts";
import { AtollError } from "../errors.ts";
import { readConfig } from "./config.ts";
import { parseConfig } from "./config-file.ts";

test("durations in the units that are documented", () => {
  assert.deepEqual(["90s", "5min", "6h", "1d"].map(parseDuration), [90_000, 300_000, 21_600_000, 86_400_000]);
});

test("every mistake is told with its line and column", () => {
  const cases = [
    ["health:\n  grace: soon\n", "2:10", "health.grace must be a duration such as 90s, 5min, 6h or 1d"],
    ["health:\n  grase: 5s\n", "2:3", 'there is no key "health.grase"'],
    ["updates: {}\n", "1:1", 'there is no key "updates"'],
    [
      "health:\n  skip: [network, sound]\n",
      "2:19",
      "health.skip.1 must be one of units, storage, network, containers",
    ],
    [
      "update:\n  url: ftp://x\n",
      "2:8",
      "update.url must be an address that begins with http://, https:// or file://",
    ],
    ["update:\n  reserve-percent: 90\n", "2:20", "update.reserve-percent must be at most 50"],
    [
      "update:\n  check: sometimes\n",
      "2:10",
      "update.check must be a duration such as 90s, 5min, 6h or 1d, or never",
    ],
    [
      "update:\n  check: 00s\n",
      "2:10",
      "update.check must be a duration such as 90s, 5min, 6h or 1d, or never",
    ],
    ["health: 3\n", "1:9", "health must be object"],
    ["health: [\n", "2:1", ""],
  ] as const;
  for (const [text, place, problem] of cases) {
    assert.throws(
      () => parseConfig("atoll.yaml", text),
      (error) => {
        assert.ok(error instanceof AtollError);
        assert.equal(error.code, "CONFIG_INVALID");
        const { line, column } = error.parameters;
        assert.equal(`${line}:${column}`, place, text);
        if (problem) assert.equal(error.parameters.problem, problem);
        return true;
      },
    );
  }
});

test("the owner's file lies over the vendor's, key by key; what neither says has its default", async () => {
  const folder = await mkdtemp(join(tmpdir(), "atoll-config-"));
  const files = { vendor: join(folder, "vendor.yaml"), owner: join(folder, "owner.yaml") };
  try {
    const defaults = await readConfig(files);
    assert.equal(defaults.health.grace, 60_000);
    assert.equal(defaults.update.check, 21_600_000);
    await writeFile(files.vendor, "health:\n  grace: 10s\n  skip: [network]\nupdate:\n  check: 1d\n");
    await writeFile(
      files.owner,
      "health:\n  grace: 20s\nupdate:\n  check: never\n  url: http://mirror/repo\n",
    );
    const config = await readConfig(files);
    assert.equal(config.health.grace, 20_000);
    assert.deepEqual(config.health.skip, ["network"]);
    assert.deepEqual(config.update, { check: null, reservePercent: 5, url: "http://mirror/repo" });
  } finally {
    await rm(folder, { recursive: true });
  }
});
