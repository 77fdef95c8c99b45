import assert from "node:assert/strict";
import { test } from "node:test";
import { readCertificate } from "./certificate.ts";
import {
  liveRevocations,
  type Revocation,
  revocationListDue,
  revocationListLife,
  signRevocationList,
} from "./revocation.ts";
import {
  credentialsFor,
  openssl,
  opensslMissing,
  sampleAuthority,
  sampleMachine,
  samplePerson,
  withFiles,
} from "./samples.ts";

const now = new Date();

function revocation(certificate: string, reason: Revocation["reason"] = "unspecified"): Revocation {
  const { serial, notAfter } = readCertificate(certificate, "it");
  return { serial, notAfter, reason, revokedAt: now };
}

test("openssl agrees: who is on the list is revoked, who is not is not", {
  skip: opensslMissing(),
}, async () => {
  const [authority, other] = await Promise.all([sampleAuthority(), sampleAuthority()]);
  const [lost, kept] = await Promise.all([
    credentialsFor(authority, sampleMachine(1)),
    credentialsFor(authority, samplePerson("anna", "viewer")),
  ]);
  const revoked = [revocation(lost.certificate, "keyCompromise")];
  const list = await signRevocationList(authority, revoked, { number: 4711, now });
  const empty = await signRevocationList(authority, [], { number: 1, now });
  const foreign = await signRevocationList(other, revoked, { number: 1, now });
  const files = {
    "root.pem": authority.certificate,
    "lost.pem": lost.certificate,
    "kept.pem": kept.certificate,
    "list.pem": list.pem,
    "list.der": list.der,
    "empty.pem": empty.pem,
    "foreign.pem": foreign.pem,
  };
  await withFiles(files, async (folder) => {
    const verify = (crl: string, leaf: string): ReturnType<typeof openssl> =>
      openssl(folder, "verify", "-crl_check_all", "-CAfile", "root.pem", "-CRLfile", crl, leaf);
    assert.match((await verify("list.pem", "lost.pem")).text, /certificate revoked/);
    assert.ok((await verify("list.pem", "kept.pem")).well);
    assert.ok((await verify("empty.pem", "lost.pem")).well);
    assert.match((await verify("foreign.pem", "kept.pem")).text, /unable to get certificate CRL/);

    const show = ["-inform", "DER", "-in", "list.der", "-noout", "-text", "-CAfile", "root.pem"];
    const { text } = await openssl(folder, "crl", ...show);
    assert.match(text, /verify OK/);
    assert.match(text, /Version 2/);
    assert.match(text, /X509v3 CRL Number:\s+4711/);
    assert.match(text, /X509v3 CRL Reason Code:\s+Key Compromise/);
    assert.match(text, new RegExp(`Serial Number: ${revoked[0]?.serial.toUpperCase()}`));
    const none = await openssl(folder, "crl", "-in", "empty.pem", "-noout", "-text");
    assert.match(none.text, /No Revoked Certificates/);
  });
});

test("an entry stays for a list's life after its certificate's end, then goes", () => {
  const entry = { serial: "4".repeat(32), revokedAt: now, reason: "superseded", notAfter: now } as const;
  const at = (seconds: number): Date => new Date(now.getTime() + seconds * 1000);
  assert.deepEqual(liveRevocations([entry], at(-1)), [entry]);
  assert.deepEqual(liveRevocations([entry], at(revocationListLife - 1)), [entry]);
  assert.deepEqual(liveRevocations([entry], at(revocationListLife)), []);
});

test("a list is signed again daily", async () => {
  const list = await signRevocationList(await sampleAuthority(), [], { number: 1, now });
  assert.equal(revocationListDue(list).getTime() - now.getTime(), 24 * 3600 * 1000);
  assert.equal(list.nextUpdate.getTime() - now.getTime(), revocationListLife * 1000);
});
