/** The fleet's certificate authorities: made, and put to use. Keys of machines and people never come here. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type X509Certificate,
} from "node:crypto";
import { AtollError } from "../errors.ts";
import { type CertificateFacts, clockSkew, readCertificate } from "./certificate.ts";
import { checkName, formatFleetName } from "./names.ts";
import { contentsOf, lifeOf, type Purpose, purposeOf, type Subject } from "./profiles.ts";

/** An authority with all that it takes to be one. The certificate is public, the private key nobody else's. */
export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
}

/** Ten years: an authority is replaced by rotation, not by its end. */
const authorityLife = 10 * 365 * 24 * 3600;

/**
 * Makes the authority of `fleet` for `purpose`: a new P-256 key and a root that certifies it, with no authority
 * below it and no URI of another fleet. Errors: NAME_INVALID.
 */
export async function createAuthority(options: {
  readonly fleet: string;
  readonly purpose: Purpose;
  readonly now: Date;
  /** Seconds; ten years when absent. */
  readonly life?: number;
}): Promise<Authority> {
  const { purpose, now, life = authorityLife } = options;
  const fleet = checkName("fleet", options.fleet);
  const { encodeCertificate } = await import("./encoding.ts");
  const key = createPrivateKey(newKey());
  const publicKey = createPublicKey(key).export({ format: "der", type: "spki" });
  // Two authorities of one fleet live side by side in a rotation; a name of its own keeps their lists apart.
  const which = createHash("sha256").update(publicKey).digest("hex").slice(0, 12);
  const der = encodeCertificate(
    {
      publicKey,
      commonName: `Atoll ${purpose} CA ${which}`,
      organization: fleet,
      uris: [formatFleetName({ fleet, kind: "ca", name: purpose })],
      dnsNames: [],
      addresses: [],
      ...validity(now, life),
      use: { authorityFor: fleet },
    },
    { key, certificate: null },
  );
  return {
    certificate: pem("CERTIFICATE", der),
    privateKey: key.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

/**
 * Reads an authority's certificate. `name.fleet` is its fleet, `name.name` its purpose.
 * Errors: CERTIFICATE_INVALID when it is no authority's.
 */
export function readAuthority(certificate: string | X509Certificate, where: string): CertificateFacts {
  const facts = readCertificate(certificate, where);
  if (!facts.x509.ca || facts.name.kind !== "ca" || !isIssuedByItself(facts.x509)) {
    throw new AtollError("CERTIFICATE_INVALID", { where, problem: "it is not that of a fleet's authority" });
  }
  return facts;
}

/**
 * Issues a certificate for `subject` to whoever made `request` (PKCS #10, PEM). Gives it as PEM.
 * Of the request only the key is taken, which must be on P-256 and have signed it.
 * Errors: REQUEST_UNUSABLE, NAME_INVALID, LIFE_INVALID; AUTHORITY_UNFIT when the authority issues no such
 * certificates, or ends before the certificate would.
 */
export async function issueCertificate(
  authority: Authority,
  request: string,
  subject: Subject,
  { now, life }: { readonly now: Date; readonly life?: number },
): Promise<string> {
  const root = readAuthority(authority.certificate, "the authority's certificate");
  const contents = contentsOf(subject);
  const { notBefore, notAfter } = validity(now, lifeOf(subject.profile, life));
  const key = createPrivateKey(authority.privateKey);
  const problem = root.x509.checkPrivateKey(key)
    ? unfitness(root, subject, { now, notAfter })
    : "its private key is another certificate's";
  if (problem !== null) throw new AtollError("AUTHORITY_UNFIT", { profile: subject.profile, problem });
  const { encodeCertificate } = await import("./encoding.ts");
  const publicKey = await publicKeyIn(request);
  const der = encodeCertificate(
    {
      ...{ publicKey, notBefore, notAfter },
      commonName: contents.commonName,
      organization: contents.organization,
      uris: [formatFleetName({ fleet: root.name.fleet, kind: contents.kind, name: contents.name })],
      dnsNames: contents.dnsNames,
      addresses: contents.addresses,
      use: { usages: contents.usages },
    },
    { key, certificate: root.x509.raw },
  );
  return pem("CERTIFICATE", der);
}

/** A new private key on P-256, as PEM (PKCS #8). Whoever the certificate is for makes it, and keeps it. */
export function newKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ format: "pem", type: "pkcs8" }).toString();
}

/** A request (PKCS #10, PEM) for a certificate of the public half of `privateKey` (PEM). */
export async function requestCertificate(privateKey: string): Promise<string> {
  const { encodeRequest } = await import("./encoding.ts");
  return pem("CERTIFICATE REQUEST", encodeRequest(createPrivateKey(privateKey)));
}

/** DER as PEM (RFC 7468). */
export function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function unfitness(
  root: CertificateFacts,
  subject: Subject,
  { now, notAfter }: { readonly now: Date; readonly notAfter: Date },
): string | null {
  const purpose = purposeOf(subject.profile);
  if (root.name.name !== purpose) return `those are the ${purpose} authority's to issue`;
  if (now < root.notBefore)
    return `it begins at ${root.notBefore.toISOString()}; this machine's clock may be wrong`;
  if (notAfter > root.notAfter)
    return `it ends at ${root.notAfter.toISOString()}, before the certificate would`;
  return null;
}

/** The longest request that is looked at; ours has less than 500 characters. */
const longestRequest = 16_384;

async function publicKeyIn(request: string): Promise<Buffer> {
  const { decodeRequest } = await import("./encoding.ts");
  const body =
    /^\s*-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/;
  const base64 = request.length > longestRequest ? undefined : body.exec(request)?.[1];
  if (base64 === undefined)
    throw new AtollError("REQUEST_UNUSABLE", { problem: "it is not one request in PEM" });
  const decoded = decodeRequest(Buffer.from(base64, "base64"));
  if ("problem" in decoded) throw new AtollError("REQUEST_UNUSABLE", { problem: decoded.problem });
  return decoded.publicKey;
}

function validity(now: Date, life: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - clockSkew), notAfter: new Date(now.getTime() + life * 1000) };
}

function isIssuedByItself(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}
