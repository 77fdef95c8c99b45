/**
 * Replacing an authority while everything runs. Each state works for ever, so a rotation may rest in any of them:
 *
 *     single ──start──▶ both-trusted ──switch──▶ new-issues ──finish──▶ single
 *        ◀───goBack────────┘   ◀──────goBack──────────┘
 *
 * Two rules make every step safe: nothing is issued by an authority that somebody does not trust yet, and no
 * authority is dropped while somebody holds a certificate of it.
 */
import { AtollError } from "../errors.ts";
import { readAuthority } from "./authority.ts";
import { fingerprintOf } from "./certificate.ts";

/** `A` is an authority with its key where it is used, its certificate (PEM) alone where it is only trusted. */
export type Rotation<A extends Rooted = Rooted> =
  | { readonly state: "single"; readonly current: A; readonly since: Date }
  | { readonly state: "both-trusted"; readonly current: A; readonly next: A; readonly since: Date }
  | { readonly state: "new-issues"; readonly current: A; readonly old: A; readonly since: Date };

export interface Rooted {
  /** PEM. */
  readonly certificate: string;
}

/** The authority that issues. It has done so since `rotation.since` when the state is `new-issues`. */
export function issuerOf<A extends Rooted>(rotation: Rotation<A>): A {
  return rotation.current;
}

/** All that is trusted, the issuer first. */
export function trustedOf<A extends Rooted>(rotation: Rotation<A>): A[] {
  switch (rotation.state) {
    case "single":
      return [rotation.current];
    case "both-trusted":
      return [rotation.current, rotation.next];
    case "new-issues":
      return [rotation.current, rotation.old];
  }
}

/**
 * What a holder tells of the roots that it trusts: the same text for the same set, in any order.
 * A machine reports it with its state; `switchIssuer` is given those whose report is another one.
 */
export function trustId(roots: readonly Rooted[]): string {
  const all = roots.map(({ certificate }) => fingerprint(certificate).slice(0, 16));
  return all.toSorted().join("+");
}

/** single → both-trusted: `next` is trusted besides. Errors: ROTATION_REFUSED, CERTIFICATE_INVALID. */
export function startRotation<A extends Rooted>(rotation: Rotation<A>, next: A, now: Date): Rotation<A> {
  if (rotation.state !== "single") {
    throw refused(rotation, "a rotation is under way", "finish it, or go back, before another one");
  }
  const from = readAuthority(rotation.current.certificate, "the present authority's certificate");
  const to = readAuthority(next.certificate, "the new authority's certificate");
  if (from.name.fleet !== to.name.fleet || from.name.name !== to.name.name) {
    throw refused(rotation, "the new authority is of another fleet or purpose", "make one for this fleet");
  }
  if (from.fingerprint === to.fingerprint) {
    throw refused(rotation, "the new authority is the present one", "make a new one");
  }
  if (now < to.notBefore || now > to.notAfter) {
    throw refused(rotation, "the new authority does not hold at this time", "check the clock");
  }
  return { state: "both-trusted", current: rotation.current, next, since: now };
}

/**
 * both-trusted → new-issues: the next authority issues from now on. `unaware` names those that do not trust it yet:
 * they would refuse whatever it issues. Errors: ROTATION_REFUSED.
 */
export function switchIssuer<A extends Rooted>(
  rotation: Rotation<A>,
  unaware: readonly string[],
  now: Date,
): Rotation<A> {
  if (rotation.state !== "both-trusted") {
    throw refused(rotation, "no new authority is trusted besides it", "start a rotation first");
  }
  if (unaware.length > 0) {
    const problem = `not all trust the new authority yet: ${listed(unaware)}`;
    throw refused(rotation, problem, "wait for them, or remove from the fleet those that are gone");
  }
  return { state: "new-issues", current: rotation.next, old: rotation.current, since: now };
}

/**
 * new-issues → single: the old authority is trusted no more. `holders` names those that hold a certificate of it that
 * has not ended: they would be cut off. (To cut them off on purpose, as when its key was stolen, name none.)
 * Errors: ROTATION_REFUSED.
 */
export function finishRotation<A extends Rooted>(
  rotation: Rotation<A>,
  holders: readonly string[],
  now: Date,
): Rotation<A> {
  if (rotation.state !== "new-issues") {
    throw refused(rotation, "the new authority does not issue yet", "start and switch first");
  }
  if (holders.length > 0) {
    const problem = `certificates of the old authority are still held by ${listed(holders)}`;
    throw refused(rotation, problem, "wait until they have renewed, or revoke what is lost");
  }
  return { state: "single", current: rotation.current, since: now };
}

/**
 * One state back. From `new-issues` the old authority issues again, and both stay trusted; from `both-trusted` the
 * new one is forgotten, which `holders` (of certificates of it that have not ended) must all have got rid of.
 * Errors: ROTATION_REFUSED.
 */
export function goBack<A extends Rooted>(
  rotation: Rotation<A>,
  holders: readonly string[],
  now: Date,
): Rotation<A> {
  switch (rotation.state) {
    case "single":
      throw refused(rotation, "there is no rotation to go back from", "start one, to replace the authority");
    case "new-issues":
      return { state: "both-trusted", current: rotation.old, next: rotation.current, since: now };
    case "both-trusted":
      if (holders.length > 0) {
        const problem = `certificates of the new authority are still held by ${listed(holders)}`;
        throw refused(rotation, problem, "wait until they have renewed, or revoke what is lost");
      }
      return { state: "single", current: rotation.current, since: now };
  }
}

function refused(rotation: Rotation, problem: string, remedy: string): AtollError {
  return new AtollError("ROTATION_REFUSED", { state: rotation.state, problem, remedy });
}

function fingerprint(certificate: string): string {
  return fingerprintOf(readAuthority(certificate, "an authority's certificate").x509);
}

/** The first few of many names. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
