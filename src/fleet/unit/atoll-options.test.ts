import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PlacementRules } from "../model.ts";
import { readUnit } from "./unit.ts";

function rules(text: string, name = "web.service"): PlacementRules {
  const read = readUnit(name, text);
  assert.ok("unit" in read, JSON.stringify(read));
  assert.deepEqual(read.unit.warnings, []);
  return read.unit.rules;
}

const mebibyte = 2 ** 20;

describe("resource requests", () => {
  test("are what the unit says", () => {
    const said = "[X-Atoll]\nCPURequest=250m\nMemoryRequest=64M\n[Service]\nCPUQuota=50%\nMemoryMax=1G\n";
    assert.deepEqual(rules(said).requests, { cpu: 250, memory: 64 * mebibyte });
  });

  test("else what limits it, the least of it", () => {
    const service = (lines: string): object => rules(`[Service]\n${lines}\n`).requests;
    assert.deepEqual(service("CPUQuota=150%\nMemoryMax=1G"), { cpu: 1500, memory: 1024 * mebibyte });
    assert.deepEqual(service("MemoryMax=1G\nMemoryHigh=512M"), { cpu: 0, memory: 512 * mebibyte });
    assert.deepEqual(service("MemoryMax=infinity\nMemoryHigh=50%\nCPUQuota="), { cpu: 0, memory: 0 });
    assert.deepEqual(service("MemoryMax=1G\nMemoryMax="), { cpu: 0, memory: 0 }, "taken back");
  });

  test("else what Podman is told", () => {
    const container = (lines: string): object =>
      rules(`[Container]\nImage=x\n${lines}\n`, "web.container").requests;
    assert.deepEqual(container("PodmanArgs=--memory=512m --cpus 0.5"), { cpu: 500, memory: 512 * mebibyte });
    assert.deepEqual(container("PodmanArgs=-m 1g --memory=256m"), { cpu: 0, memory: 256 * mebibyte });
    assert.deepEqual(container("Memory=128m\nPodmanArgs=-m 1g"), { cpu: 0, memory: 128 * mebibyte });
    assert.deepEqual(container("PodmanArgs=--memory-swap=1g"), { cpu: 0, memory: 0 });
    assert.deepEqual(rules("[Service]\nPodmanArgs=--memory=1g\n").requests, { cpu: 0, memory: 0 });
  });
});

test("without any option a unit asks for nothing", () => {
  const { requests, priority, preempts, affinity, spread, whenIsolated, volumes, after } = rules("");
  assert.deepEqual(
    { requests, priority, preempts, affinity, spread, whenIsolated, volumes, after },
    {
      requests: { cpu: 0, memory: 0 },
      priority: 0,
      preempts: false,
      affinity: [],
      spread: [],
      whenIsolated: null,
      volumes: [],
      after: [],
    },
  );
});

test("priority, preemption, isolation: the last one counts", () => {
  const read = rules(
    "[X-Atoll]\nPriority=1\nPriority=-1000\nPreempt=yes\nWhenIsolated=keep\nWhenIsolated=stop\n",
  );
  assert.deepEqual([read.priority, read.preempts, read.whenIsolated], [-1000, true, "stop"]);
  assert.equal(rules("[X-Atoll]\nPriority=5\nPriority=\n").priority, 0);
});

test("affinity and spread are lists, with a weight of 50 unless they say another", () => {
  const read = rules(
    "[X-Atoll]\nAffinity=disk=ssd zone=%p:-20\nAffinity=url=a:b:7\nSpread=zone:80 machine\n",
  );
  assert.deepEqual(read.affinity, [
    { key: "disk", value: "ssd", weight: 50 },
    { key: "zone", value: "web", weight: -20 },
    { key: "url", value: "a:b", weight: 7 },
  ]);
  assert.deepEqual(read.spread, [
    { key: "zone", weight: 80 },
    { key: "machine", weight: 50 },
  ]);
  assert.deepEqual(rules("[X-Atoll]\nSpread=zone\nSpread=\nSpread=rack\n").spread, [
    { key: "rack", weight: 50 },
  ]);
  assert.deepEqual(rules('[X-Atoll]\nAffinity="name=two words:3"\n').affinity, [
    { key: "name", value: "two words", weight: 3 },
  ]);
});

test("volumes are those of the container, and those of DataOf=", () => {
  const read = rules(
    [
      "[Container]",
      "Volume=data:/var/lib/data:Z",
      "Volume=/srv:/srv",
      "Volume=./here:/here",
      "Volume=/anonymous",
      "Volume=own.volume:/own",
      "Mount=type=volume,source=%p-%i,destination=/x",
      "Mount=type=bind,source=/etc,destination=/etc",
      "[X-Atoll]",
      "DataOf=data cache",
    ].join("\n"),
    "db@1.container",
  );
  assert.deepEqual(read.volumes, ["data", "systemd-own", "db-1", "cache"]);
  assert.deepEqual(rules("[Service]\nVolume=data:/x\n").volumes, []);
  assert.deepEqual(
    rules("[Volume]\n", "own.volume").volumes,
    ["systemd-own"],
    "a .volume file is tied to what it made",
  );
  assert.deepEqual(rules("[Volume]\nVolumeName=%p-data\n", "own.volume").volumes, ["own-volume-data"]);
});

test("a volume whose name depends on the machine ties to none", () => {
  const read = readUnit("a.container", "[Container]\nVolume=%m-data:/x\n");
  assert.ok("unit" in read);
  assert.deepEqual(read.unit.rules.volumes, []);
  assert.deepEqual(
    read.unit.warnings.map(({ code, line, column }) => [code, line, column]),
    [["UNIT_VALUE_IGNORED", 2, 8]],
  );
});

test("dependencies are those of [Unit], specifiers replaced as systemd does", () => {
  const read = rules(
    "[Unit]\nAfter=db@%i.service a.service\nAfter=a.service\nRequires=%p-cache.container\nBindsTo=dev-a\\x2db.mount %n\n",
    "web@2.container",
  );
  assert.deepEqual(read.after, ["db@2.service", "a.service"]);
  assert.deepEqual(read.requires, ["web-cache.container"]);
  assert.deepEqual(
    read.bindsTo,
    ["dev-a\\x2db.mount", "web@2.service"],
    "%n is the service that Quadlet makes",
  );
});

test("what is not valid is refused with its place", () => {
  const rows: [string, string][] = [
    ["CPURequest=lots", "2:12"],
    ["CPURequest=50%", "2:12"],
    ["MemoryRequest=256Mi", "2:15"],
    ["Priority=1001", "2:10"],
    ["Priority=1.5", "2:10"],
    ["Preempt=perhaps", "2:9"],
    ["WhenIsolated=Stop", "2:14"],
    ["Affinity=disk=ssd zone", "2:19"],
    ["Affinity=zone=a:0", "2:10"],
    ["Affinity=zone=a:101", "2:10"],
    ["Affinity=zone=", "2:10"],
    ["Spread=zone:-1", "2:8"],
    ["Spread=zone \\\n  rack:101", "3:3"],
    ["DataOf=a /b", "2:10"],
    ['Spread="zone', "2:8"],
  ];
  for (const [line, place] of rows) {
    const read = readUnit("web.service", `[X-Atoll]\n${line}\n`);
    assert.ok("problems" in read, line);
    assert.deepEqual(
      read.problems.map((one) => `${one.line}:${one.column}`),
      [place],
      line,
    );
  }
});

test("a global unit has nothing to prefer", () => {
  for (const line of ["Affinity=zone=a", "Spread=zone"]) {
    const read = readUnit("web.service", `[X-Fleet]\nGlobal=true\n[X-Atoll]\n${line}\n`);
    assert.ok("problems" in read);
    assert.deepEqual(
      read.problems.map(({ message }) => message),
      [`Global cannot be used with ${line.split("=")[0]}`],
    );
  }
});
