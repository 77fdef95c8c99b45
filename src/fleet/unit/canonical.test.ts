import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  canonicalText,
  serialiseOptions,
  shortHash,
  type UnitOption,
  unitHash,
  unitOptions,
} from "./canonical.ts";
import { parseUnitFile } from "./parse.ts";

function canonical(text: string): string {
  return canonicalText(parseUnitFile("a.service", text).unitFile, []);
}

test("is fleet's serialisation: no comments, no blank lines, sections once and in the order first seen", () => {
  const text =
    "# c\n\n[Unit]\nDescription = x \n; c\n[Service]\nExecStart=/bin/a\n\n[Unit]\nAfter=b.service\n[Install]\n";
  assert.equal(canonical(text), "[Unit]\nDescription=x\nAfter=b.service\n\n[Service]\nExecStart=/bin/a\n");
  assert.equal(canonical(""), "");
});

test("keeps continued lines as fleet did", () => {
  assert.equal(canonical("[A]\nx=1 \\\n   2 \ny=3\n"), "[A]\nx=1 \\\n   2\ny=3\n");
  assert.equal(canonical("[A]\nx=1 \\\n\ny=3\n"), "[A]\nx=1 \\\n\ny=3\n", "a blank line that ends one stays");
  assert.equal(
    canonical("[A]\nx=1\\\n# c\n 2\n"),
    "[A]\nx=1\\\n 2\n",
    "comments go, also among continued lines",
  );
});

test("the hash is SHA-1 of that text, and shown with seven characters", () => {
  // fleet's own tests have this pair.
  const text = "[Service]\nExecStart=/bin/sleep 100\n";
  assert.equal(unitHash(canonical(text)), "1c6fb6f3684bafb0c173d8b8b957ceff031180c1");
  assert.equal(shortHash(unitHash(canonical(text))), "1c6fb6f");
});

const option: fc.Arbitrary<UnitOption> = fc.record(
  {
    section: fc.constantFrom("Unit", "Service", "X-Fleet"),
    name: fc.constantFrom("A", "B"),
    value: fc.stringMatching(/^[a-z=#"]{0,5}$/),
  },
  { noNullPrototype: true },
);

test("what is serialised reads back as the same options, and serialises to the same text", () => {
  fc.assert(
    fc.property(fc.array(option), (options) => {
      const text = serialiseOptions(options);
      const read = unitOptions(parseUnitFile("a.service", text).unitFile);
      assert.deepEqual(read, [...Map.groupBy(options, ({ section }) => section).values()].flat());
      assert.equal(serialiseOptions(read), text);
    }),
  );
});

test("the hash is the same for what differs in comments and blanks alone, and no other", () => {
  fc.assert(
    fc.property(fc.array(option, { minLength: 1 }), fc.nat(), (options, index) => {
      const text = serialiseOptions(options);
      const spaced = text.replaceAll("\n", "\n# c\n\n").replaceAll(/^(\w+)=/gm, " $1 = ");
      const hash = unitHash(canonical(text));
      assert.equal(unitHash(canonical(spaced)), hash);
      assert.equal(hash, createHash("sha1").update(text).digest("hex"));
      const changed = options.map((one, at) =>
        at === index % options.length ? { ...one, value: `${one.value}x` } : one,
      );
      assert.notEqual(unitHash(serialiseOptions(changed)), hash);
    }),
  );
});

test("drop-ins are part of the content", () => {
  const main = parseUnitFile("a.service", "[Service]\nx=1\n").unitFile;
  const dropIn = parseUnitFile("units/a.service.d/1.conf", "[Service]\nx=2\n").unitFile;
  assert.equal(canonicalText(main, [dropIn]), "[Service]\nx=1\n\n# a.service.d/1.conf\n[Service]\nx=2\n");
});
