import assert from "node:assert/strict";
import { test } from "node:test";
import { readUnit, type Unit } from "./unit.ts";

function unit(name: string, text = ""): Unit {
  const read = readUnit(name, text);
  assert.ok("unit" in read, JSON.stringify(read));
  return read.unit;
}

test("the service that Quadlet makes of a file", () => {
  const rows = [
    ["web.container", "web.service"],
    ["web.kube", "web.service"],
    ["web.pod", "web-pod.service"],
    ["web.volume", "web-volume.service"],
    ["web.network", "web-network.service"],
    ["web.image", "web-image.service"],
    ["web.build", "web-build.service"],
    ["web@.container", "web@.service"],
    ["web@1.container", "web@1.service"],
    ["data@.volume", "data-volume@.service"],
    ["data@1.volume", "data@1-volume.service"],
    ["a.b.container", "a.b.service"],
    ["web.timer", "web.timer"],
  ];
  for (const [name = "", expected] of rows) assert.equal(unit(name).systemdUnit, expected);
});

test("ServiceName= names it, also in place of the ending", () => {
  assert.equal(unit("web.container", "[Container]\nServiceName=front\n").systemdUnit, "front.service");
  assert.equal(unit("web.pod", '[Pod]\nServiceName="front"\n').systemdUnit, "front.service");
  assert.deepEqual(unit("web.service", "[Service]\nServiceName=x\n").systemdUnit, "web.service");
});

test("a ServiceName= that cannot hold is refused", () => {
  const rows: [string, string, RegExp][] = [
    ["web@1.container", "front", /all instances/],
    ["web@.container", "front", /all instances/],
    ["web.container", "front.service", /adds \.service/],
    ["web.container", "front@", /no template/],
    ["web.container", "", /without a name/],
    ["web.container", "a b", /invalid character ' '/],
  ];
  for (const [name, value, message] of rows) {
    const read = readUnit(name, `[Container]\nServiceName=${value}\n`);
    assert.ok("problems" in read);
    assert.deepEqual(
      read.problems.map(({ code, line, column }) => [code, line, column]),
      [["UNIT_VALUE_INVALID", 2, 13]],
    );
    assert.match(read.problems[0]?.message ?? "", message);
  }
});

test("a name so long that its service would have none is refused", () => {
  const read = readUnit(`${"a".repeat(245)}.volume`, "");
  assert.ok("problems" in read);
  assert.deepEqual(
    read.problems.map(({ message }) => message),
    ["unit name exceeds maximum length (255)"],
  );
});

test("knows the other Quadlet files that one names", () => {
  const text = [
    "[Container]",
    "Image=old.image",
    "Image=app.image",
    "Network=front.network:ip=10.0.0.1",
    "Network=host",
    "Pod=%p.pod",
    "Volume=data.volume:/data",
    "Volume=named:/named",
    "Mount=type=image,source=files.image,destination=/files",
    "Mount=type=bind,source=/srv/a.image,destination=/srv",
  ].join("\n");
  assert.deepEqual(unit("web@1.container", text).files, [
    "data.volume",
    "files.image",
    "front.network",
    "app.image",
    "web.pod",
  ]);
  assert.deepEqual(unit("web.service", "[Service]\nImage=app.image\n").files, []);
});
