/** When a certificate is to be replaced: a plan, made anew at each look. */
import type { X509Certificate } from "node:crypto";
import { type CertificateFacts, clockSkew, isIssuedBy } from "./certificate.ts";

export type RenewalPlan =
  | { readonly do: "wait"; readonly until: Date }
  | { readonly do: "renew"; readonly because: "its time has come" | "its authority is being replaced" }
  /** It can renew nothing any more: whoever holds it must join or log in again. */
  | { readonly do: "expired"; readonly since: Date };

/** The authority that issues now, and since when it does. */
export interface CurrentIssuer {
  readonly certificate: X509Certificate;
  readonly since: Date;
}

/** Renewals spread over this part of a life, and end at two thirds of it, so that a third is left for trying again. */
const window = { from: 0.6, to: 2 / 3 };

/** Milliseconds over which all holders come for a certificate of a new authority. */
const rotationSpread = 3600 * 1000;

/**
 * What to do about `certificate` at `now`. `random` (0 to below 1) says where in the window; it must be the same at
 * each look at one certificate, as `spreadOf` gives it, or the plan moves about. `issuer` is given where it is known:
 * a certificate of another authority is then replaced within the hour, its own time or not.
 */
export function planRenewal(
  certificate: CertificateFacts,
  options: { readonly now: Date; readonly random: number; readonly issuer?: CurrentIssuer },
): RenewalPlan {
  const { now, random, issuer } = options;
  if (now > certificate.notAfter) return { do: "expired", since: certificate.notAfter };
  const ordinary = renewalTime(certificate, random);
  if (now >= ordinary) return { do: "renew", because: "its time has come" };
  if (issuer === undefined || isIssuedBy(certificate.x509, issuer.certificate)) {
    return { do: "wait", until: ordinary };
  }
  const moved = new Date(issuer.since.getTime() + random * rotationSpread);
  if (now >= moved) return { do: "renew", because: "its authority is being replaced" };
  return { do: "wait", until: moved < ordinary ? moved : ordinary };
}

/** A number from 0 to below 1 that is random among certificates, and always the same for one. */
export function spreadOf({ fingerprint }: Pick<CertificateFacts, "fingerprint">): number {
  return Number.parseInt(fingerprint.slice(0, 12), 16) / 2 ** 48;
}

function renewalTime({ notBefore, notAfter }: CertificateFacts, random: number): Date {
  // It is dated back; its life began when it was issued.
  const issued = notBefore.getTime() + clockSkew;
  const part = window.from + (window.to - window.from) * random;
  return new Date(issued + (notAfter.getTime() - issued) * part);
}
