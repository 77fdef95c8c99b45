/**
 * How a machine that knows nothing but a join token comes to trust its fleet. It asks for the server's certificates,
 * keeps the authority only if it has the token's fingerprint, and hangs up without having said anything. What it
 * sends (the token among it) goes over a second connection, which trusts that authority alone.
 */
import { once } from "node:events";
import { connect, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import { AtollError } from "../errors.ts";
import { readAuthority } from "./authority.ts";
import { type CertificateFacts, fingerprintOf, isIssuedBy, readCertificate } from "./certificate.ts";
import { identityOf } from "./identity.ts";

export interface FirstContact {
  /** The authority's certificate, PEM. */
  readonly authority: string;
  readonly fleet: string;
}

/**
 * Asks the control machine at `host`:`port` for the authority whose certificate has `fingerprint` (64 hex digits).
 * Errors: FIRST_CONTACT_FAILED when no TLS server answers there, FIRST_CONTACT_STRANGER when it is another one's,
 * INTERRUPTED.
 */
export async function fetchAuthority(options: {
  readonly host: string;
  readonly port: number;
  readonly fingerprint: string;
  readonly now: Date;
  readonly signal: AbortSignal;
}): Promise<FirstContact> {
  const { host, port, fingerprint, now, signal } = options;
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const chain = await presentedChain(host, port, signal).catch((cause: unknown) => {
    if (signal.aborted)
      throw new AtollError("INTERRUPTED", { step: `asking ${address} for its fleet` }, cause);
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new AtollError("FIRST_CONTACT_FAILED", { address, problem }, cause);
  });
  const verdict = judgeChain(chain, fingerprint, now);
  if ("problem" in verdict)
    throw new AtollError("FIRST_CONTACT_STRANGER", { address, problem: verdict.problem });
  return verdict;
}

/** What the certificates that a server showed (its own first) are worth to who knows a fingerprint. */
function judgeChain(
  chain: readonly Buffer[],
  fingerprint: string,
  now: Date,
): FirstContact | { readonly problem: string } {
  try {
    const [own, ...others] = chain.map((der, index) =>
      readCertificate(der, `certificate ${index} of the server`),
    );
    if (own === undefined) return { problem: "it showed no certificate" };
    const root = others.find(({ x509 }) => fingerprintOf(x509) === fingerprint);
    if (root === undefined) return { problem: "its authority is not the one that the token names" };
    return judgePair(own, readAuthority(root.x509, "the authority's certificate"), now);
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function judgePair(
  own: CertificateFacts,
  root: CertificateFacts,
  now: Date,
): FirstContact | { readonly problem: string } {
  if (!isIssuedBy(own.x509, root.x509))
    return { problem: "its certificate is not by the authority it shows" };
  for (const { notBefore, notAfter } of [own, root]) {
    if (now < notBefore || now > notAfter) {
      return {
        problem: `its certificate does not hold at ${now.toISOString()}, which this machine takes for now`,
      };
    }
  }
  const identity = identityOf(own, root.name.fleet);
  // A worker has a certificate of the same authority; it must not be able to collect tokens.
  if (identity.kind !== "machine" || identity.role !== "control")
    return { problem: "it is no control machine" };
  return { authority: root.x509.toString(), fleet: root.name.fleet };
}

async function presentedChain(host: string, port: number, signal: AbortSignal): Promise<Buffer[]> {
  // Nothing is believed and nothing said here: the certificates are all that is wanted of this connection.
  const socket = connect({ host, port, rejectUnauthorized: false, minVersion: "TLSv1.3" });
  try {
    await once(socket, "secureConnect", { signal });
    return chainOf(socket);
  } finally {
    socket.destroy();
  }
}

function chainOf(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  const seen = new Set<string>();
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // A root is its own issuer here.
  while (next?.raw !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    chain.push(next.raw);
    next = next.issuerCertificate;
  }
  return chain;
}
