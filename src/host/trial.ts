/**
 * The trial: what to do next, from what can be observed now. Nothing is kept in memory between steps, so that a
 * power cut between any two of them changes nothing but the time it takes: the next boot looks, and goes on.
 *
 * ```
 * on-trial ──judge──> judged-well ──write-good──> good
 *    │
 *    └──judge──> judged-unwell ──(count)──reboot──> (GRUB) ──> on-trial with a try less, or
 * fallen-back ──remember──> remembered ──undeploy──> undeployed ──write-good──> settled ──judge──> settled
 * ```
 *
 * A boot that is `good`, `chosen` or `unmanaged` is judged too, and stays what it is.
 *
 * The order after a fallback matters. To write good first would end the count, and the next boot would try the bad
 * one again; to undeploy first would lose what is to be remembered.
 */
import type { BootRecord } from "./boot-id.ts";
import type { BootState } from "./grubenv.ts";
import type { Trial, TrialState, Verdict } from "./model.ts";

export interface TrialObservation {
  readonly boot: BootRecord;
  readonly verdict: Verdict | null;
  readonly environment: BootState;
  /** The deployment that fell back: still to be remembered, remembered but installed, or gone. */
  readonly failed: "unremembered" | "remembered" | "gone";
  /** Whether there is another deployment that a reboot could end in. */
  readonly alternative: boolean;
}

export type TrialAction = "judge" | "write-good" | "count" | "reboot" | "remember" | "undeploy";

/** How often GRUB tries what is on trial. */
export const tries = 3;

/** Where the machine stands, and the one thing to do next; null when there is nothing. */
export function trialStep(seen: TrialObservation): { state: TrialState; action: TrialAction | null } {
  switch (seen.boot.kind) {
    case "unmanaged":
    case "chosen":
      return { state: seen.boot.kind, action: seen.verdict ? null : "judge" };
    case "good":
      return goodStep(seen);
    case "trial":
      return trialBootStep(seen);
    case "fallback":
      return fallbackStep(seen);
  }
}

function goodStep(seen: TrialObservation): { state: TrialState; action: TrialAction | null } {
  // Left from a trial that ended between two steps; it would cost the next trial of that boot id its tries.
  if (!isWritten(seen)) return { state: "good", action: "write-good" };
  return { state: "good", action: seen.verdict ? null : "judge" };
}

function trialBootStep(seen: TrialObservation): { state: TrialState; action: TrialAction | null } {
  if (seen.verdict === null) return { state: "on-trial", action: "judge" };
  if (seen.verdict.outcome === "unwell") {
    // With nothing to go back to, a reboot would only take away the shell that one could mend it with.
    if (!seen.alternative) return { state: "judged-unwell", action: null };
    // GRUB found no environment to count in, and would start this one again for ever.
    const counted = seen.environment.trial === seen.boot.bootId;
    return { state: "judged-unwell", action: counted ? "reboot" : "count" };
  }
  return isWritten(seen) ? { state: "good", action: null } : { state: "judged-well", action: "write-good" };
}

function fallbackStep(seen: TrialObservation): { state: TrialState; action: TrialAction | null } {
  if (seen.failed === "unremembered") return { state: "fallen-back", action: "remember" };
  if (seen.failed === "remembered") return { state: "remembered", action: "undeploy" };
  // Written whatever the checks will say: there is nowhere better to go, and to try in a circle helps nobody.
  if (!isWritten(seen)) return { state: "undeployed", action: "write-good" };
  return { state: "settled", action: seen.verdict ? null : "judge" };
}

/** True when the boot loader's environment says: the running boot id is good, and nothing is on trial. */
function isWritten({ boot, environment }: TrialObservation): boolean {
  return environment.good === boot.bootId && environment.trial === null && environment.tries === null;
}

/** The trial as `status` shows it. */
export function describeTrial(seen: TrialObservation): Trial {
  return {
    state: trialStep(seen).state,
    bootId: seen.boot.bootId,
    attempt: seen.boot.attempt,
    tries,
    failedBootId: seen.boot.failedBootId,
  };
}

/** True while a change of what boots next would disturb the trial. */
export function isOnTrial(state: TrialState): boolean {
  return state !== "good" && state !== "chosen" && state !== "settled" && state !== "unmanaged";
}
