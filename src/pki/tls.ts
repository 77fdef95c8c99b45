/**
 * TLS between those who hold certificates: the options of both ends, and who the other one is. TLS 1.3 alone, as both
 * ends are ours. (etcd's ends are set up by its own flags.)
 */
import { constants, X509Certificate } from "node:crypto";
import { type ConnectionOptions, checkServerIdentity, type TLSSocket, type TlsOptions } from "node:tls";
import { AtollError } from "../errors.ts";
import { isIssuedBy, readCertificate } from "./certificate.ts";
import { type Identity, identityOf } from "./identity.ts";
import type { MachineRole } from "./names.ts";

/** A certificate and its private key, both PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Whom to believe. */
export interface TrustedRoots {
  /** Certificates of authorities, PEM. */
  readonly roots: readonly string[];
  /** PEM. Where there is one, there must be one of each root: OpenSSL refuses whoever it cannot look up. */
  readonly revocationLists: readonly string[];
}

/** A server must be able to refuse what was revoked, so it does not start without a list. */
export interface ServerTrust extends TrustedRoots {
  readonly revocationLists: readonly [string, ...string[]];
}

/**
 * Options of a TLS server. `callers`: `named` ends the connection of whoever shows no valid certificate, without a
 * word; `any` lets it in, for `callerOf` to judge, so that it can be told why, and machines can join.
 * Also for `server.setSecureContext`, whenever certificate, roots or lists have changed: new connections are by the
 * new ones, and none that stands is ended.
 */
export function serverTls(own: Credentials, trust: ServerTrust, callers: "named" | "any"): TlsOptions {
  return {
    ...common(own, trust),
    requestCert: true,
    rejectUnauthorized: callers === "named",
    // A resumed session is not judged again: it would outlive a revocation.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** What a client knows of the server that it means; all that is given must be so. */
export interface ExpectedServer {
  readonly fleet: string;
  readonly machine?: string;
  readonly role?: MachineRole;
  /** A DNS name or an address, which must stand in the certificate. */
  readonly host?: string;
}

/**
 * Options of a TLS client that speaks to a machine of a fleet. `own` is null for one that has no certificate yet.
 */
export function clientTls(
  own: Credentials | null,
  trust: TrustedRoots,
  expected: ExpectedServer,
): ConnectionOptions {
  return {
    ...common(own, trust),
    rejectUnauthorized: true,
    checkServerIdentity: (_host, peer) => {
      try {
        const identity = identityOf(readCertificate(peer.raw, "the server's certificate"), expected.fleet);
        const problem = mismatch(identity, expected);
        if (problem !== null) return new AtollError("CERTIFICATE_REFUSED", { problem, remedy });
        return expected.host === undefined ? undefined : checkServerIdentity(expected.host, peer);
      } catch (error) {
        return error instanceof Error ? error : new Error(String(error));
      }
    },
  };
}

/** What a server knows besides TLS when it judges a caller. */
export interface CallerRules {
  readonly fleet: string;
  /** Serials, hex digits in lower case. */
  readonly revoked: ReadonlySet<string>;
  readonly now: Date;
}

/**
 * Who calls on `socket`; null for one without a certificate. Asked for each request, not once for a connection: a
 * certificate ends, or is revoked, while one stands.
 * Errors: CERTIFICATE_REFUSED with the reason, CERTIFICATE_INVALID.
 */
export function callerOf(socket: TLSSocket, { fleet, revoked, now }: CallerRules): Identity | null {
  const x509 = socket.getPeerX509Certificate();
  if (x509 === undefined) return null;
  if (!socket.authorized) throw refusal(socket.authorizationError);
  const certificate = readCertificate(x509, "the caller's certificate");
  if (now > certificate.notAfter) throw refusal("CERT_HAS_EXPIRED");
  if (revoked.has(certificate.serial)) throw refusal("CERT_REVOKED");
  return identityOf(certificate, fleet);
}

/**
 * The refusal in an error of a TLS connection, in words that help; null for an error that is about something else.
 */
export function tlsRefusal(error: unknown): AtollError | null {
  if (error instanceof AtollError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return Object.hasOwn(verifyProblems, code) ? refusal(code) : null;
}

const remedy = "check the address; if it is right, somebody else answers there";
const loginAgain = "join or log in again, or renew the certificate";
const checkFleet = "check that both ends are of the same fleet; during a rotation, take the newest roots";
const takeLists = "have the authority sign new revocation lists; the clocks of both ends may differ";

/** Node's names of OpenSSL's findings, those that a fleet can meet. */
const verifyProblems: Readonly<Record<string, readonly [problem: string, remedy: string]>> = {
  CERT_HAS_EXPIRED: ["it has ended", loginAgain],
  CERT_NOT_YET_VALID: ["it is not valid yet", "compare the clocks of both ends (`timedatectl`)"],
  CERT_REVOKED: ["it was revoked", loginAgain],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["no trusted authority issued it", checkFleet],
  UNABLE_TO_GET_ISSUER_CERT: ["no trusted authority issued it", checkFleet],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ["no trusted authority issued it", checkFleet],
  SELF_SIGNED_CERT_IN_CHAIN: ["no trusted authority issued it", checkFleet],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["no trusted authority issued it", checkFleet],
  CERT_SIGNATURE_FAILURE: ["its signature is wrong", checkFleet],
  INVALID_PURPOSE: ["it is not for this end of a connection", "use a machine's certificate for a server"],
  UNABLE_TO_GET_CRL: ["there is no revocation list of its authority", takeLists],
  CRL_HAS_EXPIRED: ["the revocation list of its authority has ended", takeLists],
  CRL_NOT_YET_VALID: ["the revocation list of its authority is from the future", takeLists],
  ERR_TLS_CERT_ALTNAME_INVALID: ["it is for another host", remedy],
};

function refusal(code: string | Error): AtollError {
  const known = typeof code === "string" ? verifyProblems[code] : undefined;
  const [problem, next] = known ?? [String(code), checkFleet];
  return new AtollError("CERTIFICATE_REFUSED", { problem, remedy: next });
}

function common(
  own: Credentials | null,
  { roots, revocationLists }: TrustedRoots,
): ConnectionOptions & TlsOptions {
  return {
    minVersion: "TLSv1.3",
    ca: [...roots],
    ...(revocationLists.length === 0 ? {} : { crl: [...revocationLists] }),
    ...(own === null ? {} : { cert: withIssuer(own.certificate, roots), key: own.privateKey }),
  };
}

/** The root goes along, for those who know it only by its fingerprint (see `first-contact.ts`). */
function withIssuer(certificate: string, roots: readonly string[]): string {
  const x509 = new X509Certificate(certificate);
  const issuer = roots.find((root) => isIssuedBy(x509, new X509Certificate(root)));
  return issuer === undefined ? certificate : `${certificate}${issuer}`;
}

function mismatch(identity: Identity, { machine, role }: ExpectedServer): string | null {
  if (identity.kind !== "machine") return "it is a person's, and a machine was expected";
  if (machine !== undefined && identity.id !== machine) {
    return `it is that of the machine ${identity.id}, and ${machine} was expected`;
  }
  if (role !== undefined && identity.role !== role) {
    return `it is that of a ${identity.role} machine, and a ${role} machine was expected`;
  }
  return null;
}
