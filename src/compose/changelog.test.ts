import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { changelogText, cvesIn, entriesBetween, parseChangelog } from "./changelog.ts";

const sample = `openssl (3.5.4-1~deb13u2) trixie-security; urgency=medium

  * CVE-2025-11187 (Improper validation of PBMAC1 parameters)
  * CVE-2025-15467 (Stack buffer overflow), see also CVE-2025-11187

 -- Sebastian Someone <s@example.org>  Tue, 20 Jan 2026 20:24:06 +0100

openssl (3.5.4-1~deb13u1) trixie; urgency=medium

  [ A. Nother ]
  * Import 3.5.4

 -- Sebastian Someone <s@example.org>  Sat, 18 Oct 2025 16:26:52 +0200

openssl (3.5.1-1) unstable; urgency=medium

  * New upstream.

 -- Sebastian Someone <s@example.org>  Tue, 01 Jul 2025 20:00:00 +0200

Local variables:
mode: debian-changelog
End:
`;

test("entries have version, date, text without its indentation, and CVE numbers", () => {
  const [first, second, third, ...more] = parseChangelog(sample);
  assert.equal(first?.version, "3.5.4-1~deb13u2");
  assert.equal(first.date, "Tue, 20 Jan 2026 20:24:06 +0100");
  assert.match(first.text, /^\* CVE-2025-11187/);
  assert.deepEqual(first.cves, ["CVE-2025-11187", "CVE-2025-15467"]);
  assert.equal(second?.text, "[ A. Nother ]\n* Import 3.5.4");
  assert.equal(third?.version, "3.5.1-1");
  assert.deepEqual(more, []);
});

test("entries between two versions: after the one, up to and with the other", () => {
  const versions = (from: string, to: string) =>
    entriesBetween(parseChangelog(sample), from, to).map(({ version }) => version);
  assert.deepEqual(versions("3.5.1-1", "3.5.4-1~deb13u2"), ["3.5.4-1~deb13u2", "3.5.4-1~deb13u1"]);
  assert.deepEqual(versions("3.5.4-1~deb13u1", "3.5.4-1~deb13u1"), []);
});

test("CVE numbers come in the order of year and number", () => {
  assert.deepEqual(cvesIn("CVE-2026-2 CVE-2026-0001 CVE-2025-123456, CVE-2025-99999"), [
    "CVE-2025-99999",
    "CVE-2025-123456",
    "CVE-2026-0001",
  ]);
});

const versions = ["3.5.4-1~deb13u2", "3.5.4-1~deb13u1", "3.5.1-1"];

test("whatever stands before and between them, entries are found, and nothing else is taken for one", () => {
  const noise = fc.string({ unit: fc.constantFrom(..."ab (.)*;-\n".split("")) });
  fc.assert(
    fc.property(noise, (text) => {
      const found = parseChangelog(`${text}\n\n${sample}`).map(({ version }) => version);
      assert.deepEqual(found.slice(-versions.length), versions);
      assert.ok(found.length - versions.length <= text.split("\n").length);
    }),
  );
});

test("changelogs are read compressed and plain", () => {
  assert.equal(changelogText(gzipSync("text")), "text");
  assert.equal(changelogText(Buffer.from("text")), "text");
  assert.equal(changelogText(Buffer.from("")), "");
});
