/** Reading and checking certificates, with what Node.js has for it. */
import { X509Certificate } from "node:crypto";
import { AtollError } from "../errors.ts";
import { type FleetName, parseFleetName } from "./names.ts";

/**
 * How far back certificates and revocation lists are dated, in milliseconds: so much may a clock be behind the
 * issuer's, and still believe what is new.
 */
export const clockSkew: number = 5 * 60 * 1000;

/** What a certificate says, read from one that these rooms issued. Whether to believe it is `judgeCertificate`'s. */
export interface CertificateFacts {
  readonly x509: X509Certificate;
  /** Hex digits, lower case. */
  readonly serial: string;
  /** SHA-256 of the whole certificate, 64 hex digits. */
  readonly fingerprint: string;
  readonly name: FleetName;
  readonly commonName: string;
  readonly organization: string | null;
  readonly dnsNames: readonly string[];
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * Reads one certificate, PEM or DER. `where` names it in errors (a file, "the peer's certificate").
 * Errors: CERTIFICATE_INVALID when it is none, or not of the form that this room issues.
 */
export function readCertificate(
  certificate: string | Buffer | X509Certificate,
  where: string,
): CertificateFacts {
  const x509 = certificate instanceof X509Certificate ? certificate : parse(certificate, where);
  const subject = subjectOf(x509);
  const names = alternativeNamesOf(x509);
  const [uri = "", ...others] = names.get("URI") ?? [];
  const name = parseFleetName(uri);
  const commonName = subject.get("CN");
  if (name === null || others.length > 0 || commonName === undefined) {
    const problem = "it does not name exactly one machine, person or authority of a fleet";
    throw new AtollError("CERTIFICATE_INVALID", { where, problem });
  }
  return {
    x509,
    serial: x509.serialNumber.toLowerCase(),
    fingerprint: fingerprintOf(x509),
    name,
    commonName,
    organization: subject.get("O") ?? null,
    dnsNames: names.get("DNS") ?? [],
    addresses: names.get("IP Address") ?? [],
    notBefore: x509.validFromDate,
    notAfter: x509.validToDate,
  };
}

/** SHA-256 of a certificate's DER, 64 hex digits in lower case. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

/** What a certificate is worth, with the reason when that is nothing. */
export type Verdict = "valid" | "unknown-authority" | "not-yet-valid" | "expired" | "revoked";

/** What one believes: roots as PEM, serials that were revoked. */
export interface Trust {
  readonly roots: readonly string[];
  readonly revoked: ReadonlySet<string>;
}

/**
 * Judges a certificate as TLS does in its handshake. For what outlasts a handshake: a connection that was good when
 * it was made may go on past the certificate's end or its revocation.
 */
export function judgeCertificate(
  { x509, serial, notBefore, notAfter }: CertificateFacts,
  trust: Trust,
  now: Date,
): Verdict {
  const issued = trust.roots.some((root) => isIssuedBy(x509, new X509Certificate(root)));
  if (!issued) return "unknown-authority";
  if (now < notBefore) return "not-yet-valid";
  if (now > notAfter) return "expired";
  return trust.revoked.has(serial) ? "revoked" : "valid";
}

/** True when `authority` signed `certificate`. */
export function isIssuedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function parse(certificate: string | Buffer, where: string): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch (cause) {
    throw new AtollError("CERTIFICATE_INVALID", { where, problem: "it cannot be read as X.509" }, cause);
  }
}

/** The subject's parts. One that is there twice counts as absent: it cannot be told which one is meant. */
function subjectOf(x509: X509Certificate): ReadonlyMap<string, string> {
  const parts = (x509.subject ?? "").split("\n").map((line): [string, string] => {
    const split = line.indexOf("=");
    return [line.slice(0, split), line.slice(split + 1)];
  });
  const isAlone = ([key]: [string, string]): boolean =>
    parts.filter((other) => other[0] === key).length === 1;
  return new Map(parts.filter(isAlone));
}

/**
 * The alternative names by their sort. Node.js joins them with commas and quotes those that hold odd characters; this
 * room issues none of the latter, so one of them makes the whole unreadable, and nothing can hide in its quotes.
 */
function alternativeNamesOf(x509: X509Certificate): ReadonlyMap<string, string[]> {
  const text = x509.subjectAltName ?? "";
  const found = new Map<string, string[]>();
  if (text === "" || text.includes('"')) return found;
  for (const item of text.split(", ")) {
    const split = item.indexOf(":");
    const sort = item.slice(0, split);
    found.set(sort, [...(found.get(sort) ?? []), item.slice(split + 1)]);
  }
  return found;
}
