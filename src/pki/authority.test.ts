import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import {
  createAuthority,
  issueCertificate,
  newKey,
  pem,
  readAuthority,
  requestCertificate,
} from "./authority.ts";
import { clockSkew, readCertificate } from "./certificate.ts";
import type { Subject } from "./profiles.ts";
import {
  credentialsFor,
  machineId,
  openssl,
  opensslMissing,
  sampleAuthority,
  sampleFleet,
  sampleMachine,
  samplePerson,
  withFiles,
} from "./samples.ts";

const day = 24 * 3600 * 1000;
const peer: Subject = {
  profile: "etcd-peer",
  machine: machineId(1),
  dnsNames: ["m1.example"],
  addresses: ["10.0.0.1"],
};

test("an authority is a root that says whose it is, and of what", async () => {
  const { certificate, privateKey } = await sampleAuthority();
  const root = readAuthority(certificate, "root");
  assert.deepEqual(root.name, { fleet: sampleFleet, kind: "ca", name: "fleet" });
  assert.ok(root.x509.ca && root.x509.verify(root.x509.publicKey));
  assert.ok(root.x509.checkPrivateKey(createPrivateKey(privateKey)));
  await assert.rejects(
    createAuthority({ fleet: "Not A Label", purpose: "fleet", now: new Date() }),
    (error) => hasCode(error, "NAME_INVALID"),
  );
});

test("a machine's certificate holds its names, its role, and both usages", async () => {
  const authority = await sampleAuthority();
  const now = new Date("2030-01-02T03:04:05.678Z");
  const { certificate, privateKey } = await credentialsFor(authority, sampleMachine(7, "worker"), { now });
  const facts = readCertificate(certificate, "it");
  assert.deepEqual(facts.name, { fleet: sampleFleet, kind: "machine", name: machineId(7) });
  assert.equal(facts.commonName, machineId(7));
  assert.equal(facts.organization, "worker");
  assert.deepEqual(facts.dnsNames, ["localhost", "m7.example"]);
  assert.deepEqual(facts.addresses, ["127.0.0.1", "0:0:0:0:0:0:0:1"]);
  assert.deepEqual(facts.x509.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  assert.equal(facts.x509.ca, false);
  assert.ok(facts.x509.checkPrivateKey(createPrivateKey(privateKey)));
  assert.equal(facts.notBefore.getTime(), Math.floor((now.getTime() - clockSkew) / 1000) * 1000);
  assert.equal(facts.notAfter.getTime(), Math.floor((now.getTime() + 7 * day) / 1000) * 1000);
});

test("a person's certificate is for a client alone; etcd's are by etcd's own authority", async () => {
  const [fleet, etcd] = await Promise.all([sampleAuthority("fleet"), sampleAuthority("etcd")]);
  const anna = readCertificate(
    (await credentialsFor(fleet, samplePerson("anna", "viewer"))).certificate,
    "it",
  );
  assert.deepEqual([anna.name.kind, anna.commonName, anna.organization], ["person", "anna", "viewer"]);
  assert.deepEqual(anna.x509.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
  const member = readCertificate((await credentialsFor(etcd, peer)).certificate, "it");
  assert.deepEqual([member.commonName, member.name.name], ["etcd-peer", machineId(1)]);
  for (const [authority, subject] of [
    [etcd, samplePerson("root", "viewer")],
    [etcd, sampleMachine(1)],
    [fleet, peer],
    [fleet, { profile: "etcd-client", user: "root" }],
  ] as const) {
    await assert.rejects(credentialsFor(authority, subject), (error) => hasCode(error, "AUTHORITY_UNFIT"));
  }
});

test("names that are none, and lives beyond a profile's, are refused", async () => {
  const [fleet, etcd] = await Promise.all([sampleAuthority("fleet"), sampleAuthority("etcd")]);
  const machine = {
    profile: "machine",
    id: machineId(1),
    role: "worker",
    dnsNames: [],
    addresses: [],
  } as const;
  const bad: Subject[] = [
    { ...machine, id: "short" },
    { ...machine, id: machineId(1).replace("0", "G") },
    { ...machine, dnsNames: ["UPPER.example"] },
    { ...machine, dnsNames: ["a, URI:atoll://harbour/person/root"] },
    { ...machine, dnsNames: ["10.0.0.1"] },
    { ...machine, dnsNames: ["*.example"] },
    { ...machine, addresses: ["10.0.0.256"] },
    { ...machine, addresses: ["fe80::1%eth0"] },
    { ...machine, addresses: ["::ffff:10.0.0.1"] },
    samplePerson("", "admin"),
    samplePerson("anna\nO=admin", "viewer"),
    samplePerson("anna/../root", "viewer"),
    samplePerson("a".repeat(65), "viewer"),
  ];
  for (const subject of bad) {
    const refused = credentialsFor(fleet, subject);
    await assert.rejects(refused, (error) => hasCode(error, "NAME_INVALID"), JSON.stringify(subject));
  }
  await assert.rejects(credentialsFor(etcd, { profile: "etcd-client", user: "etcd-peer" }), (error) =>
    hasCode(error, "NAME_INVALID"),
  );
  for (const life of [0, -1, 59, 1.5, Number.NaN, 8 * 24 * 3600]) {
    await assert.rejects(credentialsFor(fleet, machine, { life }), (error) => hasCode(error, "LIFE_INVALID"));
  }
});

test("an authority whose key is another's issues nothing", async () => {
  const [one, two] = await Promise.all([sampleAuthority(), sampleAuthority()]);
  const mixed = { certificate: one.certificate, privateKey: two.privateKey };
  await assert.rejects(credentialsFor(mixed, samplePerson("anna", "viewer")), {
    code: "AUTHORITY_UNFIT",
    message: /private key is another/,
  });
});

test("nothing is issued that would outlast its authority, or before that begins", async () => {
  const now = new Date();
  const authority = await createAuthority({
    fleet: sampleFleet,
    purpose: "fleet",
    now,
    life: 10 * 24 * 3600,
  });
  await credentialsFor(authority, sampleMachine(1), { now: new Date(now.getTime() + 2 * day) });
  for (const offset of [4 * day, 11 * day, -day]) {
    const then = new Date(now.getTime() + offset);
    await assert.rejects(credentialsFor(authority, sampleMachine(1), { now: then }), (error) =>
      hasCode(error, "AUTHORITY_UNFIT"),
    );
  }
});

test("of a request only its key counts, and who sends it must hold that key", async () => {
  const authority = await sampleAuthority();
  const issue = (request: string): Promise<string> =>
    issueCertificate(authority, request, samplePerson("anna", "viewer"), { now: new Date() });
  const good = await requestCertificate(newKey());
  await issue(good);
  await issue(`\r\n${good.replaceAll("\n", "\r\n")}`);
  const bytes = Buffer.from(good.replace(/-----[^-]+-----/g, ""), "base64");
  const changed = Buffer.from(bytes);
  changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
  const bad: readonly (readonly [request: string, problem: RegExp])[] = [
    [pem("CERTIFICATE REQUEST", changed), /signature was not made with its key/],
    [stolenKeyRequest(bytes), /signature was not made with its key/],
    [pem("CERTIFICATE REQUEST", bytes.subarray(0, 80)), /not a request of PKCS #10/],
    [good.replaceAll(" REQUEST", ""), /not one request in PEM/],
    [good + good, /not one request in PEM/],
    ["", /not one request in PEM/],
    [`${good}${" ".repeat(20_000)}`, /not one request in PEM/],
  ];
  for (const [request, problem] of bad) {
    await assert.rejects(issue(request), { code: "REQUEST_UNUSABLE", message: problem });
  }
});

/** The request in `der`, with its key kept and its signature made with another key. */
function stolenKeyRequest(der: Buffer): string {
  // SEQUENCE (short length form up to 255 bytes: 30 81 LL), then the signed part: 30 LL …
  const start = der.readUInt8(1) === 0x81 ? 3 : 2;
  const signedPart = der.subarray(start, start + 2 + der.readUInt8(start + 1));
  const algorithm = Buffer.from("300a06082a8648ce3d040302", "hex");
  const signature = sign("sha256", signedPart, createPrivateKey(newKey()));
  const bits = Buffer.concat([Buffer.from([0x03, signature.length + 1, 0]), signature]);
  const body = Buffer.concat([signedPart, algorithm, bits]);
  const head = body.length < 128 ? [0x30, body.length] : [0x30, 0x81, body.length];
  return pem("CERTIFICATE REQUEST", Buffer.concat([Buffer.from(head), body]));
}

test("no two certificates have a serial number in common, all are positive and of one length", async () => {
  const authority = await sampleAuthority();
  const serials = new Set<string>();
  for (let count = 0; count < 40; count += 1) {
    const { certificate } = await credentialsFor(authority, samplePerson("anna", "viewer"));
    const { serial } = readCertificate(certificate, "it");
    assert.match(serial, /^[4-7][0-9a-f]{31}$/);
    serials.add(serial);
  }
  assert.equal(serials.size, 40);
});

test("openssl agrees: chain, usages, names", { skip: opensslMissing() }, async () => {
  const [fleet, etcd, other] = await Promise.all([
    sampleAuthority("fleet"),
    sampleAuthority("etcd"),
    sampleAuthority("fleet"),
  ]);
  const [machine, person, member] = await Promise.all([
    credentialsFor(fleet, sampleMachine(1)),
    credentialsFor(fleet, samplePerson("anna", "operator")),
    credentialsFor(etcd, peer),
  ]);
  const files = {
    "fleet.pem": fleet.certificate,
    "etcd.pem": etcd.certificate,
    "other.pem": other.certificate,
    "machine.pem": machine.certificate,
    "person.pem": person.certificate,
    "peer.pem": member.certificate,
  };
  await withFiles(files, async (folder) => {
    const verify = async (root: string, purpose: string, leaf: string): Promise<boolean> => {
      const words = ["-x509_strict", "-CAfile", `${root}.pem`, "-purpose", purpose, `${leaf}.pem`];
      return (await openssl(folder, "verify", ...words)).well;
    };
    assert.ok(await verify("fleet", "sslserver", "machine"));
    assert.ok(await verify("fleet", "sslclient", "machine"));
    assert.ok(await verify("fleet", "sslclient", "person"));
    assert.ok(await verify("etcd", "sslserver", "peer"));
    assert.ok(await verify("etcd", "sslclient", "peer"));
    assert.equal(await verify("fleet", "sslserver", "person"), false);
    assert.equal(await verify("etcd", "sslclient", "person"), false);
    assert.equal(await verify("other", "sslclient", "machine"), false);

    const root = (await openssl(folder, "x509", "-in", "fleet.pem", "-noout", "-text")).text;
    assert.match(root, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    assert.match(root, /Key Usage: critical\s+Certificate Sign, CRL Sign/);
    assert.match(root, /Name Constraints: critical\s+Permitted:\s+URI:harbour/);
    const leaf = (await openssl(folder, "x509", "-in", "machine.pem", "-noout", "-text")).text;
    assert.match(leaf, /Version: 3/);
    assert.match(leaf, /Basic Constraints: critical\s+CA:FALSE/);
    assert.match(leaf, /Key Usage: critical\s+Digital Signature\n/);
    assert.match(leaf, /NIST CURVE: P-256/);
    assert.match(leaf, new RegExp(`URI:atoll://harbour/machine/${machineId(1)}, DNS:localhost`));
    const keyId = /Subject Key Identifier:\s+([0-9A-F:]{59})/.exec(root)?.[1] ?? "none";
    assert.match(leaf, new RegExp(`Authority Key Identifier:\\s+(keyid:)?${keyId}`));
  });
});

test("openssl agrees that a root may not name another fleet's machines, nor have an authority below it", {
  skip: opensslMissing(),
}, async () => {
  const { encodeCertificate } = await import("./encoding.ts");
  const authority = await sampleAuthority();
  const root = new X509Certificate(authority.certificate).raw;
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const now = Date.now();
  const fields = {
    publicKey: publicKey.export({ format: "der", type: "spki" }),
    ...{ commonName: "x", organization: null, dnsNames: [], addresses: [] },
    ...{ notBefore: new Date(now - day), notAfter: new Date(now + day) },
  };
  const signer = { key: createPrivateKey(authority.privateKey), certificate: root };
  const client = { usages: ["client"] } as const;
  const foreign = encodeCertificate({ ...fields, uris: ["atoll://elsewhere/person/x"], use: client }, signer);
  const own = { uris: ["atoll://harbour/person/x"], ...fields };
  const below = encodeCertificate({ ...own, commonName: "below", use: { authorityFor: "harbour" } }, signer);
  const leaf = encodeCertificate({ ...own, use: client }, { key: privateKey, certificate: below });
  const files = {
    "root.pem": authority.certificate,
    "foreign.pem": pem("CERTIFICATE", foreign),
    "below.pem": pem("CERTIFICATE", below),
    "leaf.pem": pem("CERTIFICATE", leaf),
  };
  await withFiles(files, async (folder) => {
    const first = await openssl(folder, "verify", "-CAfile", "root.pem", "foreign.pem");
    assert.equal(first.well, false);
    assert.match(first.text, /permitted subtree violation/);
    const second = await openssl(
      folder,
      "verify",
      "-CAfile",
      "root.pem",
      "-untrusted",
      "below.pem",
      "leaf.pem",
    );
    assert.equal(second.well, false);
    assert.match(second.text, /path length constraint exceeded/);
  });
});

test("openssl reads our requests, and we read its", { skip: opensslMissing() }, async () => {
  const authority = await sampleAuthority();
  await withFiles({ "ours.pem": await requestCertificate(newKey()) }, async (folder) => {
    const ours = await openssl(folder, "req", "-in", "ours.pem", "-verify", "-noout");
    assert.match(ours.text, /verify OK/);
    const issued = async (...key: string[]): Promise<string> => {
      const subject = ["-subj", "/CN=root/O=admin", "-addext", "subjectAltName=DNS:everywhere.example"];
      const made = await openssl(folder, "req", "-new", "-nodes", "-keyout", "k", ...key, ...subject);
      const request = made.text.slice(made.text.indexOf("-----BEGIN"), made.text.indexOf("\n\n"));
      return issueCertificate(authority, request, samplePerson("anna", "viewer"), { now: new Date() });
    };
    const facts = readCertificate(await issued("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "it");
    assert.deepEqual([facts.commonName, facts.organization, facts.dnsNames], ["anna", "viewer", []]);
    for (const key of [
      ["-newkey", "rsa:2048"],
      ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
      ["-newkey", "ed25519"],
    ]) {
      await assert.rejects(issued(...key), (error) => hasCode(error, "REQUEST_UNUSABLE"), key.join(" "));
    }
  });
});
