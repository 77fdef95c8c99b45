import assert from "node:assert/strict";
import { test } from "node:test";
import { diffText } from "./compose-diff.ts";

const release = { checksum: "a", timestamp: 0 };

test("packages first, then what their changelogs say of the way between", () => {
  const text = diffText(
    {
      from: { ...release, version: "20261121.1" },
      to: { ...release, version: "20261122.1" },
      added: [{ name: "htop", version: "3.4", arch: "amd64" }],
      ...{ removed: [], downgraded: [] },
      upgraded: [
        {
          ...{ name: "openssl", arch: "amd64", from: "3.5.1-1", to: "3.5.1-2", cves: ["CVE-2026-1"] },
          entries: [
            {
              ...{ version: "3.5.1-2", date: "Sat, 21 Nov 2026 10:00:00 +0000", cves: ["CVE-2026-1"] },
              text: "* Fix a flaw.\n  (CVE-2026-1)\n",
            },
          ],
        },
        { ...{ name: "zlib1g", arch: "amd64", from: "1", to: "2", cves: [], entries: null } },
      ],
      cves: ["CVE-2026-1"],
    },
    false,
    { columns: 80, colour: false },
  );
  assert.equal(
    text,
    [
      "20261121.1 → 20261122.1",
      "",
      "   PACKAGE  FROM     TO",
      "+  htop              3.4",
      "↑  openssl  3.5.1-1  3.5.1-2",
      "↑  zlib1g   1        2",
      "",
      "Mends: CVE-2026-1",
      "",
      "openssl 3.5.1-1 → 3.5.1-2",
      "  3.5.1-2  Sat, 21 Nov 2026 10:00:00 +0000",
      "    * Fix a flaw.",
      "      (CVE-2026-1)",
      "",
      "zlib1g 1 → 2",
      "  its changelog is not at hand",
    ].join("\n"),
  );
});
