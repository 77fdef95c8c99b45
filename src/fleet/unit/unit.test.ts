import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { serialiseOptions, type UnitOption } from "./canonical.ts";
import { parseUnitFile } from "./parse.ts";
import { problemText } from "./problem.ts";
import { readUnit, textOfOptions } from "./unit.ts";

const text = `# A web server
[Unit]
Description=Web %i
Description=Another
After=db.service

[Container]
Image=docker.io/library/caddy:2
Volume=site:/srv

[X-Fleet]
MachineMetadata="disk=ssd" "zone=a"
Conflicts=web@*.container

[X-Atoll]
MemoryRequest=64M
Spread=zone

[Install]
WantedBy=multi-user.target
`;

describe("readUnit", () => {
  test("reads a whole unit", () => {
    const dropIn = {
      path: "web@.container.d/10-more.conf",
      text: "[X-Atoll]\nMemoryRequest=128M\nPriority=5\n",
    };
    const read = readUnit("web@1.container", text, [dropIn]);
    assert.ok("unit" in read);
    const { rules, warnings, ...unit } = read.unit;
    assert.deepEqual(warnings, []);
    assert.deepEqual(rules, {
      global: false,
      machineId: null,
      machineOf: [],
      metadata: { disk: ["ssd"], zone: ["a"] },
      conflicts: ["web@*.container"],
      replaces: [],
      requests: { cpu: 0, memory: 128 * 2 ** 20 },
      priority: 5,
      preempts: false,
      affinity: [],
      spread: [{ key: "zone", weight: 50 }],
      whenIsolated: null,
      volumes: ["site"],
      after: ["db.service"],
      requires: [],
      bindsTo: [],
    });
    assert.deepEqual(
      [unit.systemdUnit, unit.text, unit.dropIns, unit.description, unit.installs],
      ["web@1.service", text, [dropIn], "Web %i", true],
    );
    assert.equal(unit.options.length, 10);
  });

  test("has another hash with another drop-in, and fleet's without", () => {
    const hash = (...parts: string[]): string => {
      const read = readUnit(
        "web@1.container",
        text,
        parts.map((content, at) => ({ path: `container.d/${at}.conf`, text: content })),
      );
      assert.ok("unit" in read);
      return read.unit.hash;
    };
    assert.equal(
      new Set([hash(), hash("[Unit]\nX=1\n"), hash("[Unit]\nX=2\n"), hash("[Unit]\nX=1\n", "")]).size,
      4,
    );
    assert.equal(hash(), hash());
  });

  test("gives every problem of every file, with its place and what to do", () => {
    const read = readUnit("web.service", "[Service\n[X-Atoll]\nPriority=x\n", [
      { path: "web.service.d/1.conf", text: "[X-Fleet]\nMachineOf=a.service\nMachineID=01234567\nword\n" },
    ]);
    assert.ok("problems" in read);
    assert.deepEqual(read.problems.map(problemText), [
      "web.service:1:1: [Service is no section header",
      "web.service.d/1.conf:4:1: this line is no assignment: word",
      "web.service.d/1.conf:2:11: MachineID cannot be used with Peers",
      "web.service:3:10: Priority=x in [X-Atoll] is not valid: it takes a whole number from -1000 to 1000",
    ]);
    for (const { next } of read.problems) assert.doesNotMatch(next, /\{|^$/);
  });

  test("tells of names that cannot be", () => {
    for (const [name, code] of [
      ["web", "UNIT_NAME_INVALID"],
      ["a.scope", "UNIT_TYPE_REFUSED"],
    ] as const) {
      const read = readUnit(name, "");
      assert.ok("problems" in read);
      assert.deepEqual(
        read.problems.map((one) => [one.file, one.code]),
        [[name, code]],
      );
    }
  });

  test("warns of sections that nothing reads", () => {
    const sections = (name: string, content: string): string[] => {
      const read = readUnit(name, content);
      assert.ok("unit" in read);
      return read.unit.warnings.map((one) => `${one.line} ${one.next}`);
    };
    assert.deepEqual(sections("a.service", "[Servce]\n[X-Flet]\n[X-Mine]\n[Unit]\n[Container]\n"), [
      "1 did you mean [Service]?",
      "2 did you mean [X-Fleet]?",
      "5 the sections of a .service file are Unit, Install, X-Fleet, X-Atoll, Service",
    ]);
    assert.deepEqual(sections("a.container", "[Container]\n[Service]\n[Quadlet]\n"), []);
    assert.deepEqual(sections("a.target", "[Target]\n").length, 1);
  });

  test("gives a unit or problems for any text whatever, and never throws", () => {
    const line = fc.oneof(
      fc.string(),
      fc
        .tuple(
          fc.constantFrom(
            "Conflicts",
            "MachineOf",
            "Affinity",
            "Volume",
            "PodmanArgs",
            "After",
            "ServiceName",
          ),
          fc.string(),
        )
        .map((pair) => pair.join("=")),
      fc.constantFrom("[X-Fleet]", "[X-Atoll]", "[Container]", "[Unit]"),
    );
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom("a.container", "a@1.service", "a"), (lines, name) => {
        const read = readUnit(name, lines.join("\n"), [
          { path: "container.d/1.conf", text: lines.toReversed().join("\n") },
        ]);
        if ("problems" in read) assert.ok(read.problems.some(({ severity }) => severity === "error"));
        else assert.match(read.unit.hash, /^[0-9a-f]{40}$/);
      }),
    );
  });
});

test("texts made to hurt are read, or refused, like any other text", () => {
  const times = (text: string, count: number): string => text.repeat(count);
  const rows: [string, string][] = [
    [`[Unit]\nX=${times("\\", 900_000)}x\n`, "taken"],
    [`[Unit]\nAfter=${times("a.service \\\n", 30_000)}\n`, "taken"],
    [`[Unit]\n${times("x\n", 30_000)}`, "UNIT_NOT_ASSIGNMENT"],
    [times("x=1\n", 30_000), "taken"],
    [times("[S]\n", 30_000), "taken"],
    [`[X-Fleet]\nConflicts=${times("a ", 60_000)}\nMachineOf=${times('"a" ', 30_000)}"a"\n`, "UNIT_TOO_MANY"],
    [`[X-Fleet]\nConflicts=${times("*a", 400_000)}b\nMachineOf=${times("a", 255)}\n`, "taken"],
    [`[X-Atoll]\nAffinity=${times("a=b:", 200_000)}\n`, "taken"],
    [`[X-Atoll]\nMemoryRequest=${times("1 ", 400_000)}\n`, "UNIT_VALUE_INVALID"],
    [`[X-Atoll]\nSpread=${times("'", 900_001)}\n`, "UNIT_QUOTING"],
  ];
  for (const [hostile, expected] of rows) {
    const read = readUnit("a.service", hostile);
    const outcome =
      "unit" in read ? "taken" : read.problems.find(({ severity }) => severity === "error")?.code;
    assert.equal(outcome, expected, hostile.slice(0, 30));
  }
});

describe("textOfOptions", () => {
  test("writes options as fleet did", () => {
    const options = [
      { section: "Unit", name: "After", value: "a.service" },
      { section: "Service", name: "ExecStart", value: "/bin/a \\\n  b" },
    ];
    assert.deepEqual(textOfOptions("a.service", options), {
      text: "[Unit]\nAfter=a.service\n\n[Service]\nExecStart=/bin/a \\\n  b\n",
    });
  });

  test("refuses what would not be read as it was sent", () => {
    const rows: UnitOption[] = [
      { section: "Unit", name: "A", value: "x \\" },
      { section: "Unit", name: "A", value: "x\n[Service]" },
      { section: "Unit", name: "A", value: "x\nB=y" },
      { section: "Unit", name: "A=B", value: "x" },
      { section: "Unit", name: "#A", value: "x" },
      { section: "Unit", name: "", value: "x" },
      { section: "Unit]\nB=1\n[C", name: "A", value: "x" },
      { section: "", name: "A", value: "x" },
      { section: "Unit", name: "A", value: " x" },
    ];
    for (const row of rows) {
      const read = textOfOptions("a.service", [row, { section: "Unit", name: "Z", value: "z" }]);
      assert.ok("problems" in read && read.problems.length > 0, JSON.stringify(row));
    }
  });

  test("either refuses options or writes what reads back as them", () => {
    const part = fc.oneof(
      fc.constantFrom("Unit", "A", "a=b", "\\", "\n", "x\\\n y", "#", "[B]", ""),
      fc.string({ maxLength: 4 }),
    );
    const option = fc.record({ section: part, name: part, value: part }, { noNullPrototype: true });
    fc.assert(
      fc.property(fc.array(option, { maxLength: 4 }), (options) => {
        const written = textOfOptions("a.service", options);
        if ("problems" in written) return;
        const read = parseUnitFile("a.service", written.text).unitFile.entries.filter(
          ({ kind }) => kind === "option",
        );
        assert.equal(read.length, options.length);
        assert.equal(serialiseOptions(options), written.text);
      }),
    );
  });
});
