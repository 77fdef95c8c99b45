import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AtollError, hasCode } from "../../errors.ts";
import {
  dropInFolders,
  instanceName,
  isTemplate,
  isUnitName,
  longestName,
  parseName,
  replaceSpecifiers,
  targetRefusal,
  withDefaultType,
} from "./names.ts";

function refusal(name: string): string {
  try {
    parseName(name);
    return "";
  } catch (error) {
    return error instanceof AtollError ? `${error.code}: ${error.message}` : String(error);
  }
}

test("refuses names in fleet's words", () => {
  const rows: [string, string][] = [
    ["", "unit name cannot be empty"],
    [`${"a".repeat(248)}.service`, "unit name exceeds maximum length (255)"],
    ["web", 'unit name must contain "."'],
    ["web.", 'unit name cannot end in "."'],
    ["web.txt", 'invalid unit type: "txt"'],
    ["web@1.mount", 'invalid unit type for template: "mount"'],
    ["web$1.service", "invalid character '$' in unit name"],
    ["a b.service", "invalid character ' ' in unit name"],
    ["wéb.service", "invalid character 'é' in unit name"],
    ["@web.service", 'unit name cannot start in "@"'],
    [".service", 'unit name cannot start in "."'],
  ];
  for (const [name, message] of rows) assert.equal(refusal(name), `UNIT_NAME_INVALID: ${message}`);
});

test("takes every character that fleet took, up to systemd's length", () => {
  const names = [
    "a:b_c.d\\x2d-e.service",
    `${"a".repeat(longestName - 8)}.service`,
    "A9.socket",
    "web@a@b.service",
  ];
  for (const name of names) assert.equal(refusal(name), "");
});

test("knows every type that a fleet can start, and says why not the others", () => {
  const types =
    "service socket timer path mount automount swap target slice container pod kube volume network image build";
  for (const type of types.split(" ")) assert.equal(parseName(`a.${type}`).type, type);
  const templates = "service socket timer path target container pod kube volume network image build";
  for (const type of types.split(" "))
    assert.equal(isUnitName(`a@.${type}`), templates.split(" ").includes(type), type);
  for (const type of ["device", "scope", "snapshot", "busname"]) {
    assert.match(refusal(`a.${type}`), /^UNIT_TYPE_REFUSED: a fleet starts no \w+ units: /);
  }
});

test("cuts names at the first @ and the last dot", () => {
  assert.deepEqual(parseName("foo@bar@x.y.service"), {
    full: "foo@bar@x.y.service",
    stem: "foo@bar@x.y",
    prefix: "foo",
    instance: "bar@x.y",
    template: "foo@.service",
    type: "service",
  });
  assert.equal(parseName("a.b.service").template, null);
  assert.ok(isTemplate(parseName("foo@.service")) && !isTemplate(parseName("foo@1.service")));
});

test("an instance of a template has that template", () => {
  const word = fc.stringMatching(/^[a-zA-Z0-9:_.\\-]{1,20}$/);
  fc.assert(
    fc.property(word, word, (prefix, instance) => {
      const name = parseName(instanceName(`${prefix}@.container`, instance));
      assert.deepEqual(
        [name.prefix, name.instance, name.template],
        [prefix, instance, `${prefix}@.container`],
      );
    }),
  );
  for (const [template, instance] of [
    ["web.service", "1"],
    ["web@.service", ""],
    ["web@2.service", "1"],
    ["web@.service", "a/b"],
  ] as const) {
    assert.throws(
      () => instanceName(template, instance),
      (error) => hasCode(error, "UNIT_NAME_INVALID"),
    );
  }
});

test("a name without a known type gets .service, as by fleetctl", () => {
  const rows = [
    ["web", "web.service"],
    ["web@1", "web@1.service"],
    ["web.example", "web.example.service"],
    ["web.timer", "web.timer"],
    ["web.container", "web.container"],
    ["web.scope", "web.scope"],
  ];
  for (const [given = "", expected] of rows) assert.equal(withDefaultType(given), expected);
});

test("replaces the four specifiers of fleet, and nothing else", () => {
  const text = "%n %N %p %i %%n %H %";
  assert.equal(
    replaceSpecifiers(text, parseName("foo@bar.waldo.service")),
    "foo@bar.waldo.service foo@bar.waldo foo bar.waldo %foo@bar.waldo.service %H %",
  );
  assert.equal(replaceSpecifiers("[%i]", parseName("foo@.service")), "[]");
});

test("templates can only be inactive", () => {
  const template = parseName("web@.service");
  assert.equal(targetRefusal(template, "inactive"), null);
  for (const target of ["loaded", "launched"] as const) {
    assert.equal(targetRefusal(template, target)?.message, 'cannot activate template "web@.service"');
    assert.equal(targetRefusal(parseName("web@1.service"), target), null);
  }
});

test("drop-ins of Quadlet files have folders of their own order", () => {
  assert.deepEqual(dropInFolders(parseName("a-b@1.container")), [
    "a-b@1.container.d",
    "a-b@.container.d",
    "a-@.container.d",
    "a-.container.d",
    "container.d",
  ]);
  assert.deepEqual(dropInFolders(parseName("web.volume")), ["web.volume.d", "volume.d"]);
});
