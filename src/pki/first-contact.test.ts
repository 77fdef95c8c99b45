import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { type Authority, readAuthority } from "./authority.ts";
import { type FirstContact, fetchAuthority } from "./first-contact.ts";
import { askOnce, startServer } from "./sample-server.ts";
import {
  credentialsFor,
  sampleAuthority,
  sampleFleet,
  sampleMachine,
  samplePerson,
  trustIn,
} from "./samples.ts";
import type { Credentials } from "./tls.ts";

function ask(port: number, { certificate }: Authority, now = new Date()): Promise<FirstContact> {
  const { fingerprint } = readAuthority(certificate, "root");
  const signal = AbortSignal.timeout(10_000);
  return fetchAuthority({ host: "127.0.0.1", port, fingerprint, now, signal });
}

/** Runs `work` with the port of a server that has `own` credentials and trusts `authority`. */
async function withServer(
  own: Credentials,
  authority: Authority,
  work: (port: number) => Promise<void>,
): Promise<void> {
  const server = await startServer(own, await trustIn([authority]));
  try {
    await work(server.port);
  } finally {
    await server.close();
  }
}

test("a fingerprint is enough to come to trust a fleet", async () => {
  const authority = await sampleAuthority();
  const control = await credentialsFor(authority, sampleMachine(1, "control"));
  await withServer(control, authority, async (port) => {
    const contact = await ask(port, authority);
    assert.deepEqual(contact, { authority: authority.certificate, fleet: sampleFleet });
    const trust = { roots: [contact.authority], revocationLists: [] };
    assert.equal(await askOnce(port, null, trust, { role: "control" }), "nobody");
  });
});

test("a server of another fleet, a worker, a person or a forger is a stranger", async () => {
  const [authority, other] = await Promise.all([sampleAuthority(), sampleAuthority()]);
  const refused = async (own: Credentials, roots: Authority, problem: RegExp, now?: Date): Promise<void> => {
    await withServer(own, roots, async (port) => {
      await assert.rejects(ask(port, authority, now), { code: "FIRST_CONTACT_STRANGER", message: problem });
    });
  };
  const control = await credentialsFor(authority, sampleMachine(1));
  await refused(await credentialsFor(other, sampleMachine(1)), other, /not the one that the token names/);
  await refused(await credentialsFor(authority, sampleMachine(1, "worker")), authority, /no control machine/);
  await refused(
    await credentialsFor(authority, samplePerson("anna", "admin")),
    authority,
    /no control machine/,
  );
  const later = new Date(Date.now() + 8 * 24 * 3600 * 1000);
  await refused(control, authority, /does not hold at .*, which this machine takes for now/, later);
  // It shows the true authority's certificate behind one that it made itself.
  const forged = await credentialsFor(other, sampleMachine(1));
  const chain = { ...forged, certificate: forged.certificate + authority.certificate };
  await refused(chain, authority, /not by the authority it shows|not the one that the token names/);
});

test("what is no TLS server, or none at all, is told apart from a stranger", async () => {
  const authority = await sampleAuthority();
  const plain = createServer((socket) =>
    socket
      .on("error", () => {})
      .resume()
      .end("220 hello\r\n"),
  );
  plain.listen(0, "127.0.0.1");
  await once(plain, "listening");
  const address: AddressInfo | string | null = plain.address();
  assert.ok(address !== null && typeof address === "object");
  await assert.rejects(ask(address.port, authority), { code: "FIRST_CONTACT_FAILED" });
  plain.close();
  await once(plain, "close");
  await assert.rejects(ask(address.port, authority), {
    code: "FIRST_CONTACT_FAILED",
    message: /ECONNREFUSED/,
  });
});

test("a server that never answers is left when the caller has waited enough", async () => {
  const authority = await sampleAuthority();
  const silent = createServer((socket) => socket.on("error", () => {}).resume());
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const address: AddressInfo | string | null = silent.address();
  assert.ok(address !== null && typeof address === "object");
  const { port } = address;
  const { fingerprint } = readAuthority(authority.certificate, "root");
  const interrupt = new AbortController();
  silent.once("connection", () => interrupt.abort());
  const options = { host: "127.0.0.1", port, fingerprint, now: new Date(), signal: interrupt.signal };
  await assert.rejects(fetchAuthority(options), { code: "INTERRUPTED" });
  silent.close();
  await once(silent, "close");
});

test("nothing but a handshake is said to a stranger", async () => {
  const [authority, other] = await Promise.all([sampleAuthority(), sampleAuthority()]);
  const own = await credentialsFor(other, sampleMachine(1));
  const heard: Buffer[] = [];
  const server = createTlsServer({ cert: own.certificate, key: own.privateKey }, (socket) => {
    socket.on("data", (bytes) => heard.push(bytes));
    socket.on("error", () => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address: AddressInfo | string | null = server.address();
  assert.ok(address !== null && typeof address === "object");
  await assert.rejects(ask(address.port, authority), { code: "FIRST_CONTACT_STRANGER" });
  server.close();
  await once(server, "close");
  assert.deepEqual(heard, []);
});
