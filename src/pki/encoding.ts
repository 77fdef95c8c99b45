/**
 * The bytes of certificates, requests and revocation lists (RFC 5280, RFC 2986), signed with ECDSA on P-256 (RFC 5758).
 * This file alone knows the ASN.1 library. It takes a while to load, so whoever issues or asks loads it then; to read
 * and check certificates, node:crypto does.
 */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign, verify } from "node:crypto";
import { Attributes, CertificationRequest, CertificationRequestInfo } from "@peculiar/asn1-csr";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  CertificateList,
  CRLNumber,
  CRLReason,
  CRLReasons,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_cRLNumber,
  id_ce_cRLReasons,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_nameConstraints,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  NameConstraints,
  RelativeDistinguishedName,
  RevokedCertificate,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  TBSCertList,
  Time,
  Validity,
  Version,
} from "@peculiar/asn1-x509";

const ecdsaWithSha256 = "1.2.840.10045.4.3.2";
const commonName = "2.5.4.3";
const organization = "2.5.4.10";

/** What a certificate is to say, whoever signs it. */
export interface CertificateFields {
  /** DER of the holder's public key (SubjectPublicKeyInfo). */
  readonly publicKey: Buffer;
  readonly commonName: string;
  readonly organization: string | null;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** An authority names the host that its certificates' URIs must have; others say what they may be used for. */
  readonly use: { readonly authorityFor: string } | { readonly usages: readonly ("server" | "client")[] };
}

/** Reasons of RFC 5280 5.3.1 that occur in a fleet. */
export type RevocationReason =
  | "unspecified"
  | "keyCompromise"
  | "superseded"
  | "cessationOfOperation"
  | "privilegeWithdrawn";

export interface RevokedSerial {
  /** Hex digits, lower case. */
  readonly serial: string;
  readonly revokedAt: Date;
  readonly reason: RevocationReason;
}

export interface Signer {
  readonly key: KeyObject;
  /** DER of the signer's certificate; null for one that signs itself. */
  readonly certificate: Buffer | null;
}

/** DER of a certificate with a serial number that holds 126 random bits (RFC 5280 4.1.2.2 allows up to 20 octets). */
export function encodeCertificate(fields: CertificateFields, signer: Signer): Buffer {
  const subject = nameOf(fields.commonName, fields.organization);
  const issuer = signer.certificate && AsnConvert.parse(signer.certificate, Certificate).tbsCertificate;
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: bytes(newSerial()),
    signature: algorithm(),
    issuer: issuer?.subject ?? subject,
    validity: new Validity({
      notBefore: wholeSecond(fields.notBefore),
      notAfter: wholeSecond(fields.notAfter),
    }),
    subject,
    subjectPublicKeyInfo: AsnConvert.parse(fields.publicKey, SubjectPublicKeyInfo),
    extensions: new Extensions([
      ...useExtensions(fields.use),
      alternativeNames(fields),
      extension(id_ce_subjectKeyIdentifier, false, new SubjectKeyIdentifier(keyIdOf(fields.publicKey))),
      ...(issuer ? [authorityKey(issuer.subjectPublicKeyInfo)] : []),
    ]),
  });
  const signatureValue = signed(AsnConvert.serialize(tbs), signer.key);
  const certificate = new Certificate({
    tbsCertificate: tbs,
    signatureAlgorithm: algorithm(),
    signatureValue,
  });
  return Buffer.from(AsnConvert.serialize(certificate));
}

/** DER of a request for a certificate: the public half of `key`, signed with it. It names nobody. */
export function encodeRequest(key: KeyObject): Buffer {
  const publicKey = createPublicKey(key).export({ format: "der", type: "spki" });
  const info = new CertificationRequestInfo({
    version: 0,
    subject: new Name(),
    subjectPKInfo: AsnConvert.parse(publicKey, SubjectPublicKeyInfo),
    attributes: new Attributes(),
  });
  const signature = signed(AsnConvert.serialize(info), key);
  const request = new CertificationRequest({
    certificationRequestInfo: info,
    signatureAlgorithm: algorithm(),
    signature,
  });
  return Buffer.from(AsnConvert.serialize(request));
}

/**
 * The public key in a request, as DER, if who sent it holds the private half; else what is wrong with it.
 * Nothing else in the request is looked at.
 */
export function decodeRequest(der: Buffer): { publicKey: Buffer } | { problem: string } {
  try {
    const request = AsnConvert.parse(der, CertificationRequest);
    const spki = Buffer.from(AsnConvert.serialize(request.certificationRequestInfo.subjectPKInfo));
    const key = createPublicKey({ key: spki, format: "der", type: "spki" });
    if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") return { problem: "its key is not on P-256" };
    if (request.signatureAlgorithm.algorithm !== ecdsaWithSha256) {
      return { problem: "it is not signed with ECDSA and SHA-256" };
    }
    const info =
      request.certificationRequestInfoRaw ?? AsnConvert.serialize(request.certificationRequestInfo);
    if (!verify("sha256", Buffer.from(info), key, Buffer.from(request.signature))) {
      return { problem: "its signature was not made with its key" };
    }
    // Written anew, so that no odd encoding of the same key gets into a certificate.
    return { publicKey: key.export({ format: "der", type: "spki" }) };
  } catch {
    return { problem: "it is not a request of PKCS #10" };
  }
}

/** DER of a revocation list (RFC 5280 5). `number` only ever grows. */
export function encodeRevocationList(
  revocations: readonly RevokedSerial[],
  list: { readonly number: number; readonly thisUpdate: Date; readonly nextUpdate: Date },
  signer: { readonly key: KeyObject; readonly certificate: Buffer },
): Buffer {
  const issuer = AsnConvert.parse(signer.certificate, Certificate).tbsCertificate;
  const revoked = revocations.map(
    ({ serial, revokedAt, reason }) =>
      new RevokedCertificate({
        userCertificate: bytes(Buffer.from(serial, "hex")),
        revocationDate: new Time(wholeSecond(revokedAt)),
        ...(reason === "unspecified" ? {} : { crlEntryExtensions: [reasonExtension(reason)] }),
      }),
  );
  const tbsCertList = new TBSCertList({
    version: Version.v2,
    signature: algorithm(),
    issuer: issuer.subject,
    thisUpdate: new Time(wholeSecond(list.thisUpdate)),
    nextUpdate: new Time(wholeSecond(list.nextUpdate)),
    // An empty list of revoked certificates must be absent (RFC 5280 5.1.2.6).
    ...(revoked.length === 0 ? {} : { revokedCertificates: revoked }),
    crlExtensions: [
      authorityKey(issuer.subjectPublicKeyInfo),
      extension(id_ce_cRLNumber, false, new CRLNumber(list.number)),
    ],
  });
  const signature = signed(AsnConvert.serialize(tbsCertList), signer.key);
  const whole = new CertificateList({ tbsCertList, signatureAlgorithm: algorithm(), signature });
  return Buffer.from(AsnConvert.serialize(whole));
}

function useExtensions(use: CertificateFields["use"]): Extension[] {
  if ("authorityFor" in use) {
    const uri = new GeneralName({ uniformResourceIdentifier: use.authorityFor });
    const permittedSubtrees = new GeneralSubtrees([new GeneralSubtree({ base: uri })]);
    return [
      // No authority below it: there is none, and a stolen certificate shall not be able to be one.
      extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: true, pathLenConstraint: 0 })),
      extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)),
      extension(id_ce_nameConstraints, true, new NameConstraints({ permittedSubtrees })),
    ];
  }
  const usages = use.usages.map((usage) => (usage === "server" ? id_kp_serverAuth : id_kp_clientAuth));
  return [
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: false })),
    extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
    extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage(usages)),
  ];
}

function alternativeNames({ uris, dnsNames, addresses }: CertificateFields): Extension {
  const names = [
    ...uris.map((uniformResourceIdentifier) => new GeneralName({ uniformResourceIdentifier })),
    ...dnsNames.map((dNSName) => new GeneralName({ dNSName })),
    ...addresses.map((iPAddress) => new GeneralName({ iPAddress })),
  ];
  return extension(id_ce_subjectAltName, false, new SubjectAlternativeName(names));
}

function authorityKey(key: SubjectPublicKeyInfo): Extension {
  const keyIdentifier = new KeyIdentifier(keyIdOf(Buffer.from(AsnConvert.serialize(key))));
  return extension(id_ce_authorityKeyIdentifier, false, new AuthorityKeyIdentifier({ keyIdentifier }));
}

const reasons: Readonly<Record<Exclude<RevocationReason, "unspecified">, CRLReasons>> = {
  keyCompromise: CRLReasons.keyCompromise,
  superseded: CRLReasons.superseded,
  cessationOfOperation: CRLReasons.cessationOfOperation,
  privilegeWithdrawn: CRLReasons.privilegeWithdrawn,
};

function reasonExtension(reason: Exclude<RevocationReason, "unspecified">): Extension {
  return extension(id_ce_cRLReasons, false, new CRLReason(reasons[reason]));
}

function extension(extnID: string, critical: boolean, value: unknown): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function nameOf(common: string, organizationName: string | null): Name {
  const parts: [string, string][] = [[commonName, common]];
  if (organizationName !== null) parts.unshift([organization, organizationName]);
  return new Name(
    parts.map(([type, utf8String]) => {
      const value = new AttributeValue({ utf8String });
      return new RelativeDistinguishedName([new AttributeTypeAndValue({ type, value })]);
    }),
  );
}

/** First 160 bits of SHA-256 over the key's bits (RFC 7093 2, method 1). */
function keyIdOf(publicKey: Buffer): ArrayBuffer {
  const { subjectPublicKey } = AsnConvert.parse(publicKey, SubjectPublicKeyInfo);
  return bytes(createHash("sha256").update(Buffer.from(subjectPublicKey)).digest().subarray(0, 20));
}

/** Positive, and never short: the first bit is 0, the second 1. */
function newSerial(): Buffer {
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8(0) & 0x3f) | 0x40, 0);
  return serial;
}

/** DER has no fractions of a second (RFC 5280 4.1.2.5). */
function wholeSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}

function algorithm(): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
}

function signed(data: ArrayBuffer, key: KeyObject): ArrayBuffer {
  return bytes(sign("sha256", Buffer.from(data), key));
}

function bytes(buffer: Buffer): ArrayBuffer {
  return new Uint8Array(buffer).buffer;
}
