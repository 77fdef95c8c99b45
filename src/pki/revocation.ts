/**
 * Certificates that no longer count, as lists in the form of RFC 5280 5, which both Node's TLS and etcd take.
 * Each authority signs a list of its own, and OpenSSL wants one for every authority that is trusted. All of them hold
 * all revoked serials: those are random, so none is ever another authority's too, and etcd reads one list alone,
 * whoever signed it.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { type Authority, pem } from "./authority.ts";
import { clockSkew } from "./certificate.ts";
import type { RevokedSerial } from "./encoding.ts";

/** One certificate that was revoked. */
export interface Revocation extends RevokedSerial {
  /** When the certificate ends by itself. */
  readonly notAfter: Date;
}

export interface RevocationList {
  /** For Node's TLS. */
  readonly pem: string;
  /** For etcd: from 3.6 on it reads no PEM here. */
  readonly der: Buffer;
  readonly thisUpdate: Date;
  /** From here on OpenSSL refuses every certificate of this authority. */
  readonly nextUpdate: Date;
}

/**
 * Seconds that a list holds: as long as a machine's certificate. A machine that has heard of no list for so long has
 * heard of no certificate either, so the list's end never cuts off what would still stand.
 */
export const revocationListLife: number = 7 * 24 * 3600;

/** Signs a list of `revocations`. `number` must be higher than in any list that this authority signed before. */
export async function signRevocationList(
  authority: Authority,
  revocations: readonly Revocation[],
  { number, now }: { readonly number: number; readonly now: Date },
): Promise<RevocationList> {
  const { encodeRevocationList } = await import("./encoding.ts");
  const thisUpdate = new Date(now.getTime() - clockSkew);
  const nextUpdate = new Date(now.getTime() + revocationListLife * 1000);
  const signer = {
    key: createPrivateKey(authority.privateKey),
    certificate: new X509Certificate(authority.certificate).raw,
  };
  const der = encodeRevocationList(revocations, { number, thisUpdate, nextUpdate }, signer);
  return { pem: pem("X509 CRL", der), der, thisUpdate, nextUpdate };
}

/** When a list that nothing was added to is to be signed again: after a seventh of its life, daily. */
export function revocationListDue({ nextUpdate }: Pick<RevocationList, "nextUpdate">): Date {
  return new Date(nextUpdate.getTime() - (revocationListLife * 1000 * 6) / 7);
}

/**
 * The revocations that still matter at `now`. An entry stays for one list's life after its certificate has ended, so
 * that it stands in a list issued after that end (RFC 5280 3.3), and clocks may differ.
 */
export function liveRevocations(revocations: readonly Revocation[], now: Date): Revocation[] {
  const limit = now.getTime() - revocationListLife * 1000;
  return revocations.filter(({ notAfter }) => notAfter.getTime() > limit);
}
