import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../errors.ts";
import { projectRoot } from "../paths.ts";
import { parseTreefile, readTreefile } from "./treefile.ts";

function problems(text: string): string {
  try {
    parseTreefile("t.yaml", text);
  } catch (error) {
    if (hasCode(error, "TREEFILE_INVALID")) return error.message;
    throw error;
  }
  return "";
}

describe("parseTreefile", () => {
  test("takes an empty file: every key may be left out", () => {
    assert.deepEqual(parseTreefile("t.yaml", "").said, {});
  });

  test("tells where an unknown key is, and which was meant", () => {
    assert.equal(
      problems("suite: trixie\npackges: [bash]\n"),
      "t.yaml:2:1: there is no key `packges` here; did you mean `packages`?",
    );
    assert.match(problems("units:\n  enabled: [a.service]\n"), /^t\.yaml:2:3: .*did you mean `enable`\?$/);
    assert.match(problems("kernel:\n  wheels: 4\n"), /^t\.yaml:2:3: .*the keys are package, arguments$/);
  });

  test("tells each problem with its place", () => {
    const text = "packages:\n  - bash\n  - Not A Package\nfiles:\n  - { from: a, to: relative }\n";
    assert.deepEqual(problems(text).split("\n"), [
      't.yaml:3:5: "Not A Package" is not the name of a Debian package',
      't.yaml:5:16: "relative" is not an absolute path without `..`',
    ]);
  });

  test("wants modes in quotes, as YAML reads 0755 as a decimal number", () => {
    assert.match(
      problems("files: [{ from: a, to: /etc/a, mode: 0755 }]\n"),
      /^t\.yaml:1:32: mode must be in quotes/,
    );
  });

  test("tells where YAML itself is wrong", () => {
    assert.match(problems("packages: [bash\n"), /^t\.yaml:\d+:\d+: /);
    assert.match(problems("suite: a\nsuite: b\n"), /^t\.yaml:2:1: Map keys must be unique/);
  });

  test("wants fields of os-release in capitals", () => {
    assert.match(
      problems("os-release: { name: x }\n"),
      /^t\.yaml:1:15: `name` cannot be a field of os-release/,
    );
  });

  test("refuses anything with TREEFILE_INVALID or takes it: no other error, whatever the text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        problems(text);
      }),
    );
  });
});

describe("readTreefile", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "atoll-treefile-"));
    await mkdir(join(folder, "sub"));
    const write = (name: string, text: string) => writeFile(join(folder, name), text);
    await write(
      "base.yaml",
      "suite: trixie\npackages: [bash, less]\nunits: { enable: [a.service], mask: [m.service] }\nos-release: { A: '1', B: '2' }\n",
    );
    await write("sub/file", "");
    await write(
      "sub/mine.yaml",
      "include: [../base.yaml]\npackages: [zstd]\nexclude-packages: [less]\n" +
        "files: [{ from: file, to: /etc/file, mode: '0600' }]\nunits: { disable: [a.service] }\nos-release: { B: '3' }\n",
    );
    await write("back.yaml", "include: [sub/mine.yaml]\npackages: [less]\nunits: { enable: [a.service] }\n");
    await write("loop.yaml", "suite: sid\ninclude:\n  - loop.yaml\n");
    await write("gone.yaml", "files:\n  - { from: nothing, to: /etc/x }\n");
    await write("both.yaml", "packages: [bash]\nexclude-packages: [bash]\n");
  });
  after(() => rm(folder, { recursive: true }));

  test("lays a file on what it includes: single values replace, lists join, words move", async () => {
    const mine = await readTreefile(join(folder, "sub/mine.yaml"));
    assert.deepEqual(mine.packages, ["bash", "zstd"]);
    assert.deepEqual(mine.excludePackages, ["less"]);
    assert.deepEqual(mine.units, { enable: [], disable: ["a.service"], mask: ["m.service"] });
    assert.deepEqual(mine.osRelease, { A: "1", B: "3" });
    assert.deepEqual(mine.files, [
      { from: join(folder, "sub/file"), to: "/etc/file", mode: 0o600, strip: false },
    ]);
    assert.deepEqual(mine.sources, [join(folder, "base.yaml"), join(folder, "sub/mine.yaml")]);
  });

  test("lets a later file take back what an earlier one excluded", async () => {
    const back = await readTreefile(join(folder, "back.yaml"));
    assert.deepEqual(back.packages, ["bash", "zstd", "less"]);
    assert.deepEqual(back.excludePackages, []);
    assert.deepEqual(back.units.enable, ["a.service"]);
  });

  test("tells the place of an include that runs in a circle, of a missing file, of a contradiction", async () => {
    const message = (pattern: RegExp) => ({ code: "TREEFILE_INVALID", message: pattern });
    await assert.rejects(
      readTreefile(join(folder, "loop.yaml")),
      message(/loop\.yaml:3:5: loop\.yaml includes itself/),
    );
    await assert.rejects(
      readTreefile(join(folder, "gone.yaml")),
      message(/gone\.yaml:2:7: there is no file .*nothing/),
    );
    await assert.rejects(
      readTreefile(join(folder, "both.yaml")),
      message(/both\.yaml:1:12: bash is both in packages/),
    );
    await assert.rejects(readTreefile(join(folder, "none.yaml")), { code: "TREEFILE_MISSING" });
  });

  test("reads ours", async () => {
    const ours = await readTreefile(join(projectRoot, "examples/hello.yaml"));
    assert.ok(ours.packages.includes("tree") && ours.packages.includes("podman"));
  });
});
