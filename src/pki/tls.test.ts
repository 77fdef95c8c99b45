import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { connect } from "node:tls";
import type { Authority } from "./authority.ts";
import { readCertificate } from "./certificate.ts";
import type { Revocation } from "./revocation.ts";
import { askOnce, call, type SampleServer, startServer } from "./sample-server.ts";
import {
  credentialsFor,
  machineId,
  sampleAuthority,
  sampleFleet,
  sampleMachine,
  samplePerson,
  trustIn,
} from "./samples.ts";
import { type Credentials, clientTls, type ServerTrust, tlsRefusal } from "./tls.ts";

const day = 24 * 3600 * 1000;

interface Stage {
  readonly authority: Authority;
  readonly trust: ServerTrust;
  readonly server: SampleServer;
  readonly control: Credentials;
}

/** Runs `work` with a control machine's server and whoever trusts its authority. */
async function onStage(callers: "named" | "any", work: (stage: Stage) => Promise<void>): Promise<void> {
  const authority = await sampleAuthority();
  const trust = await trustIn([authority]);
  const control = await credentialsFor(authority, sampleMachine(1));
  const server = await startServer(control, trust, callers);
  try {
    await work({ authority, trust, server, control });
  } finally {
    await server.close();
  }
}

function revocationOf({ certificate }: Credentials): Revocation {
  const { serial, notAfter } = readCertificate(certificate, "it");
  return { serial, notAfter, revokedAt: new Date(), reason: "keyCompromise" };
}

test("machines and people are known to each other by their certificates", async () => {
  await onStage("any", async ({ authority, trust, server: { port } }) => {
    const [worker, anna] = await Promise.all([
      credentialsFor(authority, sampleMachine(2, "worker")),
      credentialsFor(authority, samplePerson("anna", "admin")),
    ]);
    assert.equal(await askOnce(port, worker, trust), `machine ${machineId(2)} (worker)`);
    assert.equal(await askOnce(port, anna, trust), "person anna (admin)");
    assert.equal(await askOnce(port, null, trust), "nobody");
  });
});

test("a server refuses who is not, no longer or not yet one of the fleet, and says why", async () => {
  await onStage("any", async ({ authority, trust, server, control }) => {
    const [other, etcd] = await Promise.all([sampleAuthority(), sampleAuthority("etcd")]);
    const anna = samplePerson("anna", "admin");
    const [stranger, ended, early, lost, client] = await Promise.all([
      credentialsFor(other, anna),
      credentialsFor(authority, anna, { now: new Date(Date.now() - 8 * day) }),
      credentialsFor(authority, anna, { now: new Date(Date.now() + day) }),
      credentialsFor(authority, anna),
      credentialsFor(etcd, { profile: "etcd-client", user: "root" }),
    ]);
    server.change(control, await trustIn([authority], [revocationOf(lost)]));
    const asked = (own: Credentials): Promise<string> => askOnce(server.port, own, trust);
    assert.match(await asked(stranger), /^CERTIFICATE_REFUSED: .*no trusted authority issued it/);
    assert.match(await asked(client), /^CERTIFICATE_REFUSED: .*no trusted authority issued it/);
    assert.match(await asked(ended), /^CERTIFICATE_REFUSED: .*it has ended/);
    assert.match(await asked(early), /^CERTIFICATE_REFUSED: .*not valid yet/);
    assert.match(await asked(lost), /^CERTIFICATE_REFUSED: .*it was revoked/);
  });
});

test("a server for named callers alone hangs up on all others", async () => {
  await onStage("named", async ({ authority, trust, server, control }) => {
    const other = await sampleAuthority();
    const [anna, stranger, lost] = await Promise.all([
      credentialsFor(authority, samplePerson("anna", "viewer")),
      credentialsFor(other, samplePerson("anna", "viewer")),
      credentialsFor(authority, samplePerson("anna", "viewer")),
    ]);
    server.change(control, await trustIn([authority], [revocationOf(lost)]));
    const known = /^person anna/;
    assert.match(await askOnce(server.port, anna, trust), known);
    for (const own of [stranger, lost, null])
      assert.doesNotMatch(await askOnce(server.port, own, trust), known);
  });
});

test("a client refuses a server that is not the machine it means", async () => {
  await onStage("any", async ({ authority, trust, server: { port } }) => {
    const anna = await credentialsFor(authority, samplePerson("anna", "viewer"));
    const asked = (expected: Parameters<typeof call>[3]): Promise<string> =>
      askOnce(port, anna, trust, expected);
    assert.match(await asked({ machine: machineId(1), role: "control", host: "127.0.0.1" }), /^person/);
    assert.match(await asked({ host: "m1.example" }), /^person/);
    assert.match(await asked({ machine: machineId(2) }), /^CERTIFICATE_REFUSED: .*machine 0+1, and 0+2 was/);
    assert.match(await asked({ role: "worker" }), /^CERTIFICATE_REFUSED: .*control machine, and a worker/);
    assert.match(await asked({ fleet: "lagoon" }), /^CERTIFICATE_INVALID: .*of the fleet harbour/);
    assert.match(await asked({ host: "m2.example" }), /^ERR_TLS_CERT_ALTNAME_INVALID/);
    assert.match(await asked({ host: "10.0.0.1" }), /^ERR_TLS_CERT_ALTNAME_INVALID/);
  });
});

test("a client refuses a server whose certificate is no good", async () => {
  const [authority, other] = await Promise.all([sampleAuthority(), sampleAuthority()]);
  const trust = await trustIn([authority]);
  const bad: readonly (readonly [Credentials, string])[] = [
    [await credentialsFor(other, sampleMachine(1)), "no trusted authority issued it"],
    [
      await credentialsFor(authority, sampleMachine(1), { now: new Date(Date.now() - 8 * day) }),
      "it has ended",
    ],
    [
      await credentialsFor(authority, sampleMachine(1), { now: new Date(Date.now() + day) }),
      "it is not valid yet",
    ],
    [
      await credentialsFor(authority, samplePerson("anna", "admin")),
      "it is not for this end of a connection",
    ],
  ];
  for (const [own, problem] of bad) {
    const server = await startServer(own, trust);
    try {
      await assert.rejects(call(server.port, null, trust), (error) => {
        const refusal = tlsRefusal(error);
        assert.equal(refusal?.parameters.problem, problem, String(error));
        return true;
      });
    } finally {
      await server.close();
    }
  }
});

test("a client refuses a server that was revoked, and anyone when it has no list to look in", async () => {
  await onStage("any", async ({ authority, trust, server: { port }, control }) => {
    const other = await sampleAuthority();
    const revoked = await trustIn([authority], [revocationOf(control)]);
    const old = await trustIn([authority], [], new Date(Date.now() - 8 * day));
    const elsewhere = await trustIn([other]);
    const cases = [
      [revoked, "it was revoked"],
      [old, "the revocation list of its authority has ended"],
      [
        { ...trust, revocationLists: elsewhere.revocationLists },
        "there is no revocation list of its authority",
      ],
    ] as const;
    for (const [lists, problem] of cases) {
      await assert.rejects(
        call(port, null, lists),
        (error) => tlsRefusal(error)?.parameters.problem === problem,
      );
    }
    // Who joins has no list yet.
    assert.equal(await askOnce(port, null, { ...trust, revocationLists: [] }), "nobody");
  });
});

test("a connection that stands is judged anew for each request", async () => {
  await onStage("any", async ({ authority, trust, server }) => {
    const anna = await credentialsFor(authority, samplePerson("anna", "viewer"));
    const { socket, ask } = await call(server.port, anna, trust);
    assert.equal(await ask(), "person anna (viewer)");
    server.now = new Date(Date.now() + 8 * day);
    assert.match(await ask(), /^CERTIFICATE_REFUSED: .*it has ended/);
    server.now = new Date();
    server.revoked.add(revocationOf(anna).serial);
    assert.match(await ask(), /^CERTIFICATE_REFUSED: .*it was revoked/);
    socket.destroy();
  });
});

test("no session is resumed: it would be believed without being looked at", async () => {
  await onStage("any", async ({ authority, trust, server: { port } }) => {
    const anna = await credentialsFor(authority, samplePerson("anna", "viewer"));
    const options = { host: "127.0.0.1", port, ...clientTls(anna, trust, { fleet: sampleFleet }) };
    const first = connect(options);
    const sessions: Buffer[] = [];
    first.on("session", (session: Buffer) => sessions.push(session));
    await once(first, "secureConnect");
    first.write("who am I?\n");
    await once(first, "data");
    const kept = sessions.at(-1) ?? first.getSession();
    first.destroy();
    const second = connect({ ...options, ...(kept === undefined ? {} : { session: kept }) });
    await once(second, "secureConnect");
    assert.equal(second.isSessionReused(), false);
    second.destroy();
  });
});

test("nothing older than TLS 1.3 is spoken", async () => {
  await onStage("any", async ({ trust, server: { port } }) => {
    const socket = connect({ host: "127.0.0.1", port, ca: [...trust.roots], maxVersion: "TLSv1.2" });
    await assert.rejects(once(socket, "secureConnect"), { code: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION" });
  });
});

test("an error that is not about certificates is nobody's refusal", () => {
  assert.equal(tlsRefusal(Object.assign(new Error("no"), { code: "ECONNREFUSED" })), null);
  assert.equal(tlsRefusal("no"), null);
});
