import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../errors.ts";
import { diffPackages } from "../packages.ts";
import { branchOf, findDeployment, rebasedOrigin } from "./names.ts";
import { isOlder, type Observed, planCleanup, planPin, planRollback } from "./plan.ts";
import type { InstalledDeployment } from "./sysroot.ts";

function deployment(index: number, more: Partial<InstalledDeployment> = {}): InstalledDeployment {
  const checksum = String(index + 1).repeat(64);
  return {
    index,
    id: `${checksum}.0`,
    checksum,
    serial: 0,
    version: `1.${9 - index}`,
    timestamp: "2026-01-01T00:00:00.000Z",
    booted: false,
    staged: false,
    pinned: false,
    rollback: false,
    unlocked: false,
    kernelArguments: ["rw"],
    bootId: null,
    treeId: null,
    origin: "atoll:atoll/x86_64/stable",
    ...more,
  };
}

const staged = deployment(0, { staged: true });
const booted = deployment(1, { booted: true });
const previous = deployment(2, { rollback: true });

function observed(...deployments: InstalledDeployment[]): Observed {
  return { deployments, bad: [] };
}

test("rollback with something staged drops it and stays, whether or not there is a way back", () => {
  for (const all of [
    [staged, booted, previous],
    [staged, booted],
  ]) {
    const plan = planRollback(observed(...all), true);
    assert.deepEqual(
      plan.steps.map((step) => step.do),
      ["undeploy", "forget-change", "record"],
    );
    assert.equal(plan.summary, "1.9 was dropped; 1.8 boots next");
    assert.equal(plan.reboot, "not-needed", "what is to run runs");
  }
});

test("rollback goes one back where nothing is staged", () => {
  const plan = planRollback(observed(booted, previous), false);
  assert.deepEqual(
    plan.steps.map((step) => step.do),
    ["save-baseline", "forget-change", "set-default", "record"],
  );
  assert.equal(plan.summary, "1.7 boots next");
  assert.throws(
    () => planRollback(observed(booted), false),
    (error) => hasCode(error, "NO_ROLLBACK"),
  );
});

test("cleanup keeps the booted one and the pinned ones, whatever is asked", () => {
  const pinned = deployment(3, { pinned: true });
  const plan = planCleanup(observed(staged, booted, previous, pinned), { pending: true, rollback: true });
  const dropped = plan.steps.flatMap((step) => (step.do === "undeploy" ? [step.id] : []));
  assert.deepEqual(dropped, [staged.id, previous.id]);
});

test("pinning what is pinned is nothing to do; what is staged cannot be", () => {
  assert.deepEqual(
    planPin(observed(deployment(0, { booted: true, pinned: true })), "booted", true).steps,
    [],
  );
  assert.throws(
    () => planPin(observed(staged, booted), "0", true),
    (error) => hasCode(error, "PIN_STAGED"),
  );
});

test("a deployment answers to role, index, version and checksum", () => {
  const all = [staged, booted, previous];
  assert.equal(findDeployment(all, "staged"), staged);
  assert.equal(findDeployment(all, "booted"), booted);
  assert.equal(findDeployment(all, "rollback"), previous);
  assert.equal(findDeployment(all, "2"), previous);
  assert.equal(findDeployment(all, "1.8"), booted);
  assert.equal(findDeployment(all, "22222222"), booted);
  assert.equal(findDeployment(all, "2222222"), null, "seven digits are too few");
  const twins = [deployment(0, { version: "1" }), deployment(1, { version: "1" })];
  assert.equal(findDeployment(twins, "1")?.index, 1, "an index comes before a version");
  const alike = [deployment(3, { version: "7" }), deployment(4, { version: "7" })];
  assert.throws(
    () => findDeployment(alike, "7"),
    (error) => hasCode(error, "DEPLOYMENT_AMBIGUOUS"),
  );
});

test("a stream, a ref and a remote's ref all name a branch", () => {
  const origin = "atoll:atoll/x86_64/stable";
  assert.equal(rebasedOrigin(origin, "testing"), "atoll:atoll/x86_64/testing");
  assert.equal(rebasedOrigin(origin, "other/x86_64/next"), "atoll:other/x86_64/next");
  assert.equal(rebasedOrigin(origin, "mine:a/b"), "mine:a/b");
  assert.throws(
    () => rebasedOrigin(origin, "--option"),
    (error) => hasCode(error, "USAGE"),
  );
  const remotes = [{ name: "atoll", url: "http://a" }];
  assert.deepEqual(branchOf(origin, { remotes }, null), {
    remote: "atoll",
    ref: "atoll/x86_64/stable",
    url: "http://a",
  });
  assert.equal(branchOf(origin, { remotes }, "http://mirror").url, "http://mirror");
  for (const bad of [null, "nonsense", "mine:a/b"]) {
    assert.throws(
      () => branchOf(bad, { remotes }, null),
      (error) => hasCode(error, "NO_REMOTE"),
    );
  }
});

test("versions decide which is older; the timestamp only where they cannot", () => {
  const at = (version: string | null, timestamp: string): { version: string | null; timestamp: string } => ({
    version,
    timestamp,
  });
  assert.equal(isOlder(at("20261122.2", "2020"), at("20261122.10", "2026")), true);
  assert.equal(isOlder(at("20261122.10", "2020"), at("20261122.2", "2026")), false);
  assert.equal(isOlder(at("1", "2025"), at("1", "2026")), true);
  assert.equal(isOlder(at(null, "2027"), at("1", "2026")), false);
});

const packageList = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom("a", "b", "c", "d"),
      version: fc.constantFrom("1", "2", "3~rc1", "3"),
    }),
    {
      selector: ({ name }) => name,
    },
  )
  .map((list) => list.map((entry) => ({ ...entry, arch: "amd64" })));

test("a difference read backwards is its opposite", () => {
  fc.assert(
    fc.property(packageList, packageList, (a, b) => {
      const there = diffPackages(a, b);
      const back = diffPackages(b, a);
      assert.deepEqual(there.added, back.removed);
      assert.deepEqual(
        there.upgraded.map(({ name, from, to }) => ({ name, from: to, to: from })),
        back.downgraded.map(({ name, from, to }) => ({ name, from, to })),
      );
      assert.deepEqual(diffPackages(a, a), { added: [], removed: [], upgraded: [], downgraded: [] });
    }),
  );
});
