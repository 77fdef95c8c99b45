/** The rows of fleet's checklist about [X-Fleet], one by one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PlacementRules } from "../model.ts";
import { readUnit } from "./unit.ts";

/** The rules of a unit with these lines in [X-Fleet]; its warnings as `code line:column`. */
function rules(lines: string, name = "web@1.service"): PlacementRules & { warnings: string[] } {
  const read = readUnit(name, `[X-Fleet]\n${lines}\n`);
  assert.ok("unit" in read, JSON.stringify(read));
  return {
    ...read.unit.rules,
    warnings: read.unit.warnings.map((one) => `${one.code} ${one.line}:${one.column}`),
  };
}

function refusals(lines: string): string[] {
  const read = readUnit("web@1.service", `[X-Fleet]\n${lines}\n`);
  assert.ok("problems" in read, lines);
  return read.problems.filter(({ severity }) => severity === "error").map(({ message }) => message);
}

const id = "0123456789abcdef0123456789abcdef";

describe("MachineID=", () => {
  test("takes a whole id or its first eight characters; the first one counts", () => {
    assert.equal(rules(`MachineID=${id}`).machineId, id);
    assert.equal(rules("MachineID=01234567").machineId, "01234567");
    const both = rules(`MachineID=${id}\nMachineID=01234567`);
    assert.deepEqual([both.machineId, both.warnings], [id, ["UNIT_VALUE_IGNORED 3:11"]]);
    assert.equal(rules("").machineId, null);
  });

  test("is kept when no machine can have it, with a warning", () => {
    for (const text of ["web", "0123456", ""]) {
      const read = rules(`MachineID=${text}`);
      assert.deepEqual([read.machineId, read.warnings], [text, ["UNIT_VALUE_UNMET 2:11"]]);
    }
  });
});

describe("MachineOf=", () => {
  test("takes one exact name, and may be repeated", () => {
    assert.deepEqual(rules("MachineOf=a.service\nMachineOf=%p-db@%i.service").machineOf, [
      "a.service",
      "web-db@1.service",
    ]);
    assert.deepEqual(rules('MachineOf="a.service" "b.service"').machineOf, ["a.service", "b.service"]);
  });

  test("takes neither a list nor a pattern: fleet waited for ever for a unit of that name", () => {
    for (const text of ["a.service b.service", "a*.service", "a"]) {
      const read = rules(`MachineOf=${text}`);
      assert.deepEqual([read.machineOf, read.warnings], [[text], ["UNIT_VALUE_UNMET 2:11"]]);
    }
  });
});

describe("MachineMetadata=", () => {
  test("takes k=v alone or quoted in a row; values of one key are alternatives", () => {
    const rows: [string, Record<string, string[]>][] = [
      ["MachineMetadata=region=us", { region: ["us"] }],
      ['MachineMetadata="region=us"', { region: ["us"] }],
      ['MachineMetadata="region=us" "disk=ssd"  "region=eu"', { region: ["us", "eu"], disk: ["ssd"] }],
      [
        "MachineMetadata=region=us\nMachineMetadata=region=eu\nMachineMetadata=disk=ssd",
        { region: ["us", "eu"], disk: ["ssd"] },
      ],
      ['MachineMetadata="a=1" \\\n  "b=2"', { a: ["1"], b: ["2"] }],
      ["MachineMetadata=name=two words", { name: ["two words"] }],
      ["MachineMetadata=region=%i", { region: ["1"] }],
      ["MachineMetadata=__proto__=x", JSON.parse('{"__proto__":["x"]}')],
    ];
    for (const [lines, expected] of rows) assert.deepEqual(rules(lines).metadata, expected, lines);
  });

  test("leaves out what is no pair, as fleet did, but says so", () => {
    for (const text of ["region", "=us", "region=", "a=b=c", "a=b c=d", ""]) {
      const read = rules(`MachineMetadata=${text}`);
      assert.deepEqual([read.metadata, read.warnings], [{}, ["UNIT_VALUE_IGNORED 2:17"]], text);
    }
  });
});

test("Conflicts= takes globs, repeated and in lists", () => {
  assert.deepEqual(rules("Conflicts=a*.service  b?.service\nConflicts=%p@*.service").conflicts, [
    "a*.service",
    "b?.service",
    "web@*.service",
  ]);
  assert.deepEqual(rules("Conflicts=").conflicts, []);
  assert.deepEqual(rules("Conflicts=a[").warnings, ["UNIT_VALUE_IGNORED 2:11"]);
});

test("Replaces= takes one glob each", () => {
  assert.deepEqual(rules("Replaces=a*.service\nReplaces=b.service").replaces, ["a*.service", "b.service"]);
  const list = rules("Replaces=a.service b.service");
  assert.deepEqual([list.replaces, list.warnings], [["a.service b.service"], ["UNIT_VALUE_IGNORED 2:10"]]);
});

test("Global= knows fleet's words for yes, and the last one counts", () => {
  for (const text of ["true", "yes", "1", "on", "t", "TRUE", "Yes"])
    assert.ok(rules(`Global=${text}`).global, text);
  for (const text of ["false", "no", "0", "off", ""])
    assert.deepEqual(rules(`Global=${text}`).warnings, [], text);
  for (const text of ["y", "ture", "enabled"]) {
    const read = rules(`Global=${text}`);
    assert.deepEqual([read.global, read.warnings], [false, ["UNIT_VALUE_IGNORED 2:8"]], text);
  }
  assert.equal(rules("Global=true\nGlobal=false").global, false);
  assert.equal(rules("Global=false\nGlobal=true").global, true);
});

test("what excludes each other is refused in fleet's words", () => {
  const options: Record<string, string> = {
    MachineID: `MachineID=${id}`,
    Peers: "MachineOf=a.service",
    Conflicts: "Conflicts=b.service",
    Replaces: "Replaces=c.service",
    Global: "Global=true",
  };
  const excluded = [
    "MachineID Peers",
    "MachineID Conflicts",
    "MachineID Global",
    "MachineID Replaces",
    "Global Peers",
    "Global Replaces",
    "Conflicts Replaces",
  ];
  const names = Object.keys(options);
  for (const first of names) {
    for (const second of names.filter((name) => name !== first)) {
      const lines = `${options[first]}\n${options[second]}`;
      const known = excluded.find((pair) => pair === `${first} ${second}` || pair === `${second} ${first}`);
      if (known === undefined) assert.deepEqual(rules(lines).warnings, [], lines);
      else assert.deepEqual(refusals(lines), [known.replace(" ", " cannot be used with ")]);
    }
  }
  assert.equal(
    refusals(Object.values(options).join("\n"))[0],
    "MachineID cannot be used with Peers",
    "fleet told of this one",
  );
  assert.deepEqual(rules(`Global=false\n${options.Replaces}`).warnings, []);
});

test("a peer that must also be elsewhere is refused in fleet's words", () => {
  assert.deepEqual(refusals("MachineOf=a.service\nConflicts=*.service"), [
    'unresolvable requirements: peer "a.service" matches conflict "*.service"',
  ]);
  assert.deepEqual(refusals("MachineOf=a.service\nReplaces=a.*"), [
    'unresolvable requirements: peer "a.service" matches replace "a.*"',
  ]);
  assert.deepEqual(
    rules("MachineOf=a.service\nConflicts=a[").conflicts,
    ["a["],
    "a malformed pattern matches nothing",
  );
});

test("old names are read, each with a warning that has the name of today", () => {
  const read = rules(`X-ConditionMachineOf=a.service\nX-ConditionMachineMetadata=a=b`);
  assert.deepEqual([read.machineOf, read.metadata], [["a.service"], { a: ["b"] }]);
  assert.deepEqual(read.warnings, ["UNIT_KEY_DEPRECATED 2:1", "UNIT_KEY_DEPRECATED 3:1"]);
  assert.deepEqual(rules("X-Conflicts=a b").conflicts, ["a", "b"]);
  assert.equal(rules(`X-ConditionMachineID=${id}`).machineId, id);
  assert.equal(rules("X-ConditionMachineBootID=01234567").machineId, "01234567");
  assert.equal(
    rules(`X-ConditionMachineBootID=01234567\nX-ConditionMachineID=abcdefab\nMachineID=${id}`).machineId,
    id,
  );
  assert.equal(
    rules("X-ConditionMachineBootID=01234567\nX-ConditionMachineID=abcdefab").machineId,
    "abcdefab",
  );
});

test("an unknown key is a warning with its place and the nearest known one", () => {
  const read = readUnit("a.service", "[X-Fleet]\nConflict=b\n  Priority=1\nWeight=1\n");
  assert.ok("unit" in read);
  assert.deepEqual(
    read.unit.warnings.map(({ line, column, message, next }) => [`${line}:${column}`, message, next]),
    [
      ["2:1", 'unrecognized requirement in [X-Fleet] section: "Conflict"', "did you mean Conflicts=?"],
      [
        "3:3",
        'unrecognized requirement in [X-Fleet] section: "Priority"',
        "Priority= belongs into the section [X-Atoll]",
      ],
      [
        "4:1",
        'unrecognized requirement in [X-Fleet] section: "Weight"',
        "the options of this section are MachineID, MachineOf, MachineMetadata, Conflicts, Replaces, Global",
      ],
    ],
  );
});

test("specifiers are replaced by plain text", () => {
  assert.deepEqual(rules("Conflicts=%n %N %p %i %%i %H").conflicts, [
    "web@1.service",
    "web@1",
    "web",
    "1",
    "%1",
    "%H",
  ]);
  assert.deepEqual(rules("Conflicts=[%i]", "web@.service").conflicts, ["[]"]);
});

test("an empty assignment takes back nothing in the file, as with fleet, and all before it in a drop-in", () => {
  const file = "[X-Fleet]\nConflicts=a\nConflicts=\nConflicts=b\n";
  const path = "web.service.d/1.conf";
  const conflicts = (...texts: string[]): readonly string[] => {
    const read = readUnit(
      "web.service",
      file,
      texts.map((text) => ({ path, text })),
    );
    assert.ok("unit" in read);
    return read.unit.rules.conflicts;
  };
  assert.deepEqual(conflicts(), ["a", "b"]);
  assert.deepEqual(conflicts("[X-Fleet]\nConflicts=c\n"), ["a", "b", "c"]);
  assert.deepEqual(conflicts("[X-Fleet]\nConflicts=\nConflicts=c\n"), ["c"]);
});
