import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { BootRecord } from "./boot-id.ts";
import type { Verdict } from "./model.ts";
import { type TrialAction, type TrialObservation, trialStep } from "./trial.ts";

const running = "0123456789abcdef-0123456789ab";
const other = "fedcba9876543210-0123456789ab";

function verdict(outcome: Verdict["outcome"], boot: BootRecord): Verdict {
  return {
    outcome,
    at: "2026-01-01T00:00:00.000Z",
    boot: boot.kind,
    bootId: boot.bootId,
    attempt: null,
    reasons: [],
  };
}

/** What each action does to the machine, when no power cut comes between. */
function after(seen: TrialObservation, action: TrialAction, outcome: Verdict["outcome"]): TrialObservation {
  switch (action) {
    case "judge":
      return { ...seen, verdict: verdict(outcome, seen.boot) };
    case "count":
      return { ...seen, environment: { ...seen.environment, trial: seen.boot.bootId, tries: "2" } };
    case "write-good":
      return { ...seen, environment: { good: seen.boot.bootId, trial: null, tries: null } };
    case "remember":
      return { ...seen, failed: "remembered" };
    case "undeploy":
      return { ...seen, failed: "gone" };
    case "reboot":
      return seen;
  }
}

/** The actions from `seen` until there is none left, or the machine reboots. */
function course(start: TrialObservation, outcome: Verdict["outcome"]): TrialAction[] {
  const actions: TrialAction[] = [];
  for (let seen = start; actions.length < 10; ) {
    const { action } = trialStep(seen);
    if (action === null) return actions;
    actions.push(action);
    if (action === "reboot") return actions;
    seen = after(seen, action, outcome);
  }
  throw new Error(`no end: ${actions.join(", ")}`);
}

const trial: BootRecord = { kind: "trial", bootId: running, attempt: 2, failedBootId: null };
const fallback: BootRecord = { kind: "fallback", bootId: running, attempt: null, failedBootId: other };
const good: BootRecord = { kind: "good", bootId: running, attempt: null, failedBootId: null };

function observed(boot: BootRecord, more: Partial<TrialObservation> = {}): TrialObservation {
  const environment = { good: other, trial: running, tries: "1" };
  return { boot, verdict: null, environment, failed: "gone", alternative: true, ...more };
}

test("on trial and well: judged, then written good", () => {
  assert.deepEqual(course(observed(trial), "well"), ["judge", "write-good"]);
});

test("on trial and unwell: reboots, and writes nothing", () => {
  assert.deepEqual(course(observed(trial), "unwell"), ["judge", "reboot"]);
});

test("a trial that GRUB could not count is counted before the reboot", () => {
  const lost = { good: null, trial: null, tries: null };
  assert.deepEqual(course(observed(trial, { environment: lost }), "unwell"), ["judge", "count", "reboot"]);
});

test("unwell with nothing to go back to stays up", () => {
  assert.deepEqual(course(observed(trial, { alternative: false }), "unwell"), ["judge"]);
});

test("after a fallback: remembered, undeployed, written good, judged; in this order", () => {
  const seen = observed(fallback, {
    failed: "unremembered",
    environment: { good: running, trial: other, tries: "0" },
  });
  for (const outcome of ["well", "unwell"] as const) {
    assert.deepEqual(course(seen, outcome), ["remember", "undeploy", "write-good", "judge"]);
  }
});

test("not on trial: judged, never rebooted", () => {
  const written = { good: running, trial: null, tries: null };
  assert.deepEqual(course(observed(good, { environment: written }), "unwell"), ["judge"]);
});

test("an entry that was chosen is judged; what is due, and what is good, stay as they are", () => {
  const chosen: BootRecord = { ...good, kind: "chosen" };
  for (const outcome of ["well", "unwell"] as const) {
    assert.deepEqual(course(observed(chosen), outcome), ["judge"]);
  }
});

test("what a trial left behind in the boot loader is cleared", () => {
  assert.deepEqual(
    course(observed(good, { environment: { good: running, trial: other, tries: "0" } }), "well"),
    ["write-good", "judge"],
  );
});

const observation: fc.Arbitrary<TrialObservation> = fc.record({
  boot: fc.constantFrom<BootRecord>(
    trial,
    fallback,
    good,
    { ...good, kind: "chosen" },
    {
      kind: "unmanaged",
      bootId: null,
      attempt: null,
      failedBootId: null,
    },
  ),
  verdict: fc.constantFrom(null, verdict("well", trial), verdict("unwell", trial)),
  environment: fc.record({
    good: fc.constantFrom(null, running, other),
    trial: fc.constantFrom(null, running, other),
    tries: fc.constantFrom(null, "0", "1", "2"),
  }),
  failed: fc.constantFrom("unremembered", "remembered", "gone"),
  alternative: fc.boolean(),
});

test("from anywhere it comes to an end, and good is never written over what is to be remembered", () => {
  fc.assert(
    fc.property(observation, fc.constantFrom("well", "unwell"), (seen, outcome) => {
      const actions = course(seen, outcome);
      const written = actions.indexOf("write-good");
      if (seen.boot.kind === "fallback" && written >= 0) {
        if (seen.failed !== "gone") assert.ok(actions.indexOf("undeploy") < written);
        if (seen.failed === "unremembered")
          assert.ok(actions.indexOf("remember") < actions.indexOf("undeploy"));
      }
      if (seen.boot.kind === "trial" && written >= 0) assert.equal(seen.verdict?.outcome ?? outcome, "well");
      if (actions.includes("reboot")) assert.equal(seen.boot.kind, "trial");
    }),
  );
});
