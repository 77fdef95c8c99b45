import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { projectRoot } from "../paths.ts";
import { readTreefile } from "./treefile.ts";

interface Unit {
  readonly name: string;
  /** What is said of `key`, in order. */
  all(key: string): readonly string[];
}

/** The units that os/files brings, drop-ins left out. */
function units(): Unit[] {
  const files = globSync(join(projectRoot, "os/files/usr/lib/systemd/system/atoll*"));
  return files.map((file) => {
    const lines = readFileSync(file, "utf8").split("\n");
    return {
      name: basename(file),
      all: (key) => lines.flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : [])),
    };
  });
}

test("what our units start is in the tree", async () => {
  const { files } = await readTreefile(join(projectRoot, "os/atoll.yaml"));
  const laid = new Set(files.map(({ to }) => to));
  const ours = units().flatMap((unit) => unit.all("ExecStart").flatMap((line) => line.split(" ")));
  const paths = ours.filter((word) => word.startsWith("/usr/lib/atoll/"));
  assert.ok(paths.length >= 4, paths.join(" "));
  for (const path of paths) {
    const place = join(projectRoot, "os/files", path);
    assert.ok(laid.has(path) || existsSync(place), `${path} is laid over no tree`);
  }
});

test("the journal names what of ours has spoken, not the program that runs it", () => {
  for (const unit of units()) {
    const starts = unit.all("ExecStart").filter((line) => line.startsWith("/usr/lib/atoll/"));
    if (starts.length === 0) continue;
    assert.deepEqual(unit.all("SyslogIdentifier"), [unit.name.replace(/\.service$/, "")], unit.name);
  }
});

test("documentation that a unit names is on the machine", () => {
  for (const unit of units()) {
    for (const place of unit.all("Documentation")) assert.match(place, /^(man|file):/, unit.name);
  }
});
