import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleDeployment, sampleStatus } from "./samples.ts";
import { packageSummary, statusText } from "./status-text.ts";

const view = { columns: 80, colour: false };
const now = Date.parse("2026-11-22T15:03:00Z");

test("a quiet host in a few lines", () => {
  assert.equal(
    statusText(sampleStatus(), view, now),
    [
      "atoll-1  well  up 3 min",
      "",
      "● booted    20261122.1      3ae047566699  follows atoll:atoll/x86_64/stable",
      "            signed by Atoll trees",
    ].join("\n"),
  );
});

test("everything that can be the matter is said", () => {
  const bad = {
    ...{ checksum: "bad0", version: "20261122.3", kernelArguments: [], bootId: "c-d" },
    ...{
      at: "2026-11-22T14:00:00Z",
      reasons: ["required.d/50-broken.sh failed"],
      boots: [],
      askedAgain: false,
      blame: "tree" as const,
    },
  };
  const text = statusText(
    sampleStatus({
      trial: { state: "settled", bootId: "a-b", attempt: null, tries: 3, failedBootId: "c-d" },
      deployments: [
        sampleDeployment({
          index: 0,
          booted: false,
          staged: true,
          version: "20261122.2",
          kernelArguments: ["rw", "quiet"],
        }),
        sampleDeployment({ index: 1 }),
        sampleDeployment({
          ...{ index: 2, booted: false, rollback: true, pinned: true, version: "20261121.1" },
          signature: { valid: false, problem: "unsigned", keyId: null, who: null, signedAt: null },
        }),
      ],
      bad: [bad],
      conflicts: [{ path: "/etc/issue", here: "changed", tree: "removed" }],
      updateProblem: { code: "REMOTE_UNREACHABLE", message: "no route", at: "2026-11-22T15:00:00Z" },
      operation: {
        ...{ id: "1", verb: "upgrade", state: "running", startedAt: "2026-11-22T15:02:00Z", endedAt: null },
        ...{ step: "fetching", result: null, error: null },
      },
    }),
    view,
    now,
  );
  for (const part of [
    /went back from a bad version/,
    /staged .*20261122\.2.*boots next/,
    /\+quiet -root=LABEL=atoll-root/,
    /rollback .*pinned/,
    /NOT SIGNED/,
    /\/etc\/issue was changed here and removed/,
    /last look failed.*no route/,
    /20261122\.3 went back .*50-broken\.sh\s+failed/s,
    /running +upgrade: fetching/,
  ]) {
    assert.match(text, part);
  }
  for (const line of text.split("\n")) assert.ok(line.length <= 80, line);
});

test("a host that has been judged and is not done with its boot says that changes wait", () => {
  assert.match(
    statusText(sampleStatus({ recovering: true }), view, now),
    /running +what follows the verdict/,
  );
  assert.doesNotMatch(statusText(sampleStatus({ recovering: true, verdict: null }), view, now), /running/);
  assert.doesNotMatch(statusText(sampleStatus(), view, now), /running/);
});

test("a host on trial says which try this is", () => {
  const trial = { state: "on-trial", bootId: "a-b", attempt: 2, tries: 3, failedBootId: null } as const;
  assert.match(statusText(sampleStatus({ trial, verdict: null }), view, now), /on trial \(try 2 of 3\)/);
});

test("an update says how much it takes, or that nobody knows", () => {
  const update = {
    ...{ checksum: "new0", version: "20261122.2", timestamp: "2026-11-22T15:00:00Z", packages: null },
    ...{ origin: "atoll:atoll/x86_64/stable", refusal: null, checkedAt: "2026-11-22T15:00:00Z" },
    signature: sampleDeployment().signature,
  };
  const shown = (size: number | null): string =>
    statusText(sampleStatus({ update: { ...update, size } }), view, now);
  assert.match(shown(5 * 1024 * 1024), /update +20261122\.2, .*, 5\.0 MiB/);
  assert.match(shown(null), /update +20261122\.2, .*, size unknown/);
});

test("package differences in one line, with a few names", () => {
  const change = (name: string) => ({ name, arch: "amd64", from: "1", to: "2" });
  assert.equal(
    packageSummary({
      added: [{ name: "htop", version: "1", arch: "amd64" }],
      ...{ removed: [], downgraded: [] },
      upgraded: ["a", "b", "c", "d"].map(change),
    }),
    "packages: 4 up (a, b, c, …), 1 added (htop)",
  );
});
