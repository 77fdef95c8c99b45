import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { type Authority, pem, readAuthority } from "./authority.ts";
import { type CertificateFacts, judgeCertificate, readCertificate } from "./certificate.ts";
import type { CertificateFields } from "./encoding.ts";
import { identityOf, identityText } from "./identity.ts";
import { formatFleetName, nameKinds, parseFleetName } from "./names.ts";
import {
  credentialsFor,
  machineId,
  sampleAuthority,
  sampleFleet,
  sampleMachine,
  samplePerson,
} from "./samples.ts";

const now = new Date();

test("names are read back from their URI, and nothing else is", () => {
  const names = fc.record(
    {
      fleet: fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/),
      kind: fc.constantFrom(...nameKinds),
      name: fc.stringMatching(/^[a-z0-9._@-]{1,64}$/),
    },
    { noNullPrototype: true },
  );
  fc.assert(fc.property(names, (name) => assert.deepEqual(parseFleetName(formatFleetName(name)), name)));
  for (const uri of [
    "",
    "atoll://harbour/machine/",
    "atoll://harbour/king/x",
    "atoll://harbour/person/x/y",
    "atoll://harbour/person/x\n",
    "atoll://a@harbour/person/x",
    "atoll://-harbour/person/x",
    "https://harbour/person/x",
    "ATOLL://harbour/person/x",
  ]) {
    assert.equal(parseFleetName(uri), null, JSON.stringify(uri));
  }
});

test("a certificate tells who somebody is", async () => {
  const authority = await sampleAuthority();
  const who = async (subject: Parameters<typeof credentialsFor>[1]): Promise<string> => {
    const { certificate } = await credentialsFor(authority, subject);
    return identityText(identityOf(readCertificate(certificate, "it"), sampleFleet));
  };
  assert.equal(await who(sampleMachine(1, "worker")), `machine ${machineId(1)} (worker)`);
  assert.equal(await who(samplePerson("anna@example.org", "admin")), "person anna@example.org (admin)");
});

/** A certificate that `authority` signed over contents which no profile gives. */
async function oddCertificate(
  authority: Authority,
  odd: Partial<CertificateFields>,
): Promise<CertificateFacts> {
  const { encodeCertificate } = await import("./encoding.ts");
  const root = new X509Certificate(authority.certificate);
  const fields: CertificateFields = {
    publicKey: root.publicKey.export({ format: "der", type: "spki" }),
    ...{ commonName: "anna", organization: "viewer", uris: ["atoll://harbour/person/anna"] },
    ...{ dnsNames: [], addresses: [], notBefore: now, notAfter: now, use: { usages: ["client"] } },
    ...odd,
  };
  const signer = { key: createPrivateKey(authority.privateKey), certificate: root.raw };
  return readCertificate(pem("CERTIFICATE", encodeCertificate(fields, signer)), "it");
}

test("a certificate that contradicts itself is nobody's", async () => {
  const authority = await sampleAuthority();
  const who = async (odd: Partial<CertificateFields>, fleet = sampleFleet): Promise<string> =>
    identityText(identityOf(await oddCertificate(authority, odd), fleet));
  assert.equal(await who({}), "person anna (viewer)");
  const refused: readonly Partial<CertificateFields>[] = [
    { commonName: "root" },
    { organization: "root" },
    { organization: null },
    { organization: "control" },
    { uris: [] },
    { uris: ["atoll://harbour/person/anna", "atoll://harbour/person/root"] },
    { uris: ["https://harbour/person/anna"] },
    { uris: ["atoll://harbour/machine/anna"] },
    { uris: ["atoll://harbour/etcd-client/anna"] },
    // Node.js quotes what holds a comma: none of it counts.
    { uris: [], dnsNames: ["x, URI:atoll://harbour/person/anna"] },
    { uris: ['atoll://harbour/person/anna"'] },
    { organization: "viewer\nO=admin" },
    { organization: "viewer\nCN=anna", commonName: "anna" },
  ];
  for (const odd of refused) {
    await assert.rejects(who(odd), { code: "CERTIFICATE_INVALID" }, JSON.stringify(odd));
  }
  await assert.rejects(who({}, "lagoon"), { code: "CERTIFICATE_INVALID", message: /of the fleet harbour/ });
});

test("what is no certificate, or no authority's, is refused with its place", async () => {
  const { certificate } = await credentialsFor(await sampleAuthority(), sampleMachine(1));
  for (const text of ["", "hello", certificate.slice(0, 200)]) {
    assert.throws(() => readCertificate(text, "/etc/atoll/machine.crt"), {
      code: "CERTIFICATE_INVALID",
      message: /^\/etc\/atoll\/machine\.crt cannot be used/,
    });
  }
  assert.throws(() => readAuthority(certificate, "ca.crt"), { code: "CERTIFICATE_INVALID" });
});

test("a verdict names what is wrong", async () => {
  const [authority, other] = await Promise.all([sampleAuthority(), sampleAuthority()]);
  const { certificate } = await credentialsFor(authority, sampleMachine(1), { now, life: 3600 });
  const facts = readCertificate(certificate, "it");
  const roots = [other.certificate, authority.certificate];
  const trust = { roots, revoked: new Set(["4".repeat(32)]) };
  const later = (ms: number): Date => new Date(now.getTime() + ms);
  assert.equal(judgeCertificate(facts, trust, now), "valid");
  assert.equal(judgeCertificate(facts, { ...trust, roots: [other.certificate] }, now), "unknown-authority");
  assert.equal(judgeCertificate(facts, { ...trust, roots: [certificate] }, now), "unknown-authority");
  assert.equal(judgeCertificate(facts, trust, later(-400_000)), "not-yet-valid");
  assert.equal(judgeCertificate(facts, trust, later(-200_000)), "valid");
  assert.equal(judgeCertificate(facts, trust, later(3_601_000)), "expired");
  assert.equal(judgeCertificate(facts, { roots, revoked: new Set([facts.serial]) }, now), "revoked");
});
