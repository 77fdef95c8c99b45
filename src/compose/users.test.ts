import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { projectRoot } from "../paths.ts";
import { compareEntries, formatEntries, joinEntries, joinLines, parseEntries } from "./users.ts";

test("entries are read with their place in errors, and written by id", () => {
  const entries = parseEntries("group", "# pinned\nb:x:7:\n\na:x:3:m\n", 4);
  assert.equal(formatEntries(entries), "a:x:3:m\nb:x:7:\n");
  assert.throws(() => parseEntries("group", "a:x:3:\nb:x:seven:\n", 4), {
    code: "IDS_INVALID",
    message: /^group:2:/,
  });
  assert.throws(() => parseEntries("passwd", "a:x:3:\n", 7), { code: "IDS_INVALID" });
});

test("the first baseline to name somebody decides, and nobody shares an id", () => {
  const first = parseEntries("a", "a:x:1:\n", 4);
  assert.deepEqual(joinEntries(first, parseEntries("b", "a:x:9:\nb:x:2:\n", 4)), [
    ["a", "x", "1", ""],
    ["b", "x", "2", ""],
  ]);
  const clash = { code: "IDS_CONFLICT", parameters: { id: "1", first: "a", second: "c" } };
  assert.throws(() => joinEntries(first, parseEntries("b", "c:x:1:\n", 4)), clash);
});

test("ids that packages move or add are told apart", () => {
  const pinned = parseEntries("p", "a:x:1:\nb:x:2:\n", 4);
  assert.deepEqual(compareEntries(pinned, parseEntries("t", "a:x:1:\nb:x:5:\nc:x:3:\n", 4)), {
    fresh: [["c", "x", "3", ""]],
    moved: [{ name: "b", from: "2", to: "5" }],
  });
});

test("our baseline is sound: no name and no id twice", async () => {
  for (const [name, fields] of [
    ["passwd", 7],
    ["group", 4],
  ] as const) {
    const file = join(projectRoot, "os", name);
    const entries = parseEntries(file, await readFile(file, "utf8"), fields);
    assert.equal(joinEntries(entries).length, entries.length);
  }
});

test("the group whose members may command a host has an id that packages and systemd leave alone", async () => {
  const file = join(projectRoot, "os/group");
  const groups = parseEntries(file, await readFile(file, "utf8"), 4);
  // adduser counts up from 100, systemd-sysusers down from 999.
  assert.deepEqual(
    groups.filter(([name]) => name === "atoll"),
    [["atoll", "x", "500", ""]],
  );
});

test("ids that the lock below pins reach the locks above it, whatever those had", () => {
  const below = ["new:x:990:990::/:/bin/sh", "both:x:991:991::/:/bin/sh"];
  const own = ["both:x:5:5::/:/bin/sh", "ours:x:992:992::/:/bin/sh"];
  assert.deepEqual(joinLines(below, own), [...below, "ours:x:992:992::/:/bin/sh"]);
  assert.deepEqual(joinLines(undefined, own), own);
});
