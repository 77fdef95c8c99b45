import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as after } from "node:timers/promises";
import { openToolbox } from "../src/compose/toolbox.ts";
import { freePort } from "../src/lab/ports.ts";
import { cacheDirectory } from "../src/paths.ts";
import { readCertificate } from "../src/pki/certificate.ts";
import { signRevocationList } from "../src/pki/revocation.ts";
import {
  credentialsFor,
  machineId,
  sampleAuthority,
  sampleMachine,
  samplePerson,
  withFiles,
} from "../src/pki/samples.ts";
import type { Credentials } from "../src/pki/tls.ts";
import { silent } from "../src/progress.ts";

const here = { dnsNames: ["localhost"], addresses: ["127.0.0.1"] };

/** Status of a POST to etcd's gateway on `port` as `own`, or the code of the error that came instead. */
function post(port: number, path: string, root: string, own: Credentials | null): Promise<number | string> {
  const { promise, resolve } = Promise.withResolvers<number | string>();
  const keys = own === null ? {} : { cert: own.certificate, key: own.privateKey };
  const options = { host: "127.0.0.1", port, path, method: "POST", agent: false, ca: root, ...keys };
  const asked = request(options, (response) => {
    response.resume();
    resolve(response.statusCode ?? 0);
  });
  asked.on("error", (error) => resolve("code" in error ? String(error.code) : error.message));
  asked.end(JSON.stringify({ key: "YQ==", value: "YQ==" }));
  return promise;
}

test("two members of etcd take our certificates and lists, and refuse whom they should", async () => {
  const toolbox = await openToolbox({ cache: cacheDirectory(), progress: silent });
  const [etcd, fleet] = await Promise.all([sampleAuthority("etcd"), sampleAuthority("fleet")]);
  const root = etcd.certificate;
  const [peer, server, client, lost, person, machine] = await Promise.all([
    credentialsFor(etcd, { profile: "etcd-peer", machine: machineId(1), ...here }),
    credentialsFor(etcd, { profile: "etcd-server", machine: machineId(1), ...here }),
    credentialsFor(etcd, { profile: "etcd-client", user: "atoll-engine" }),
    credentialsFor(etcd, { profile: "etcd-client", user: "atoll-lost" }),
    credentialsFor(fleet, samplePerson("root", "viewer")),
    credentialsFor(fleet, sampleMachine(1)),
  ]);
  const { serial, notAfter } = readCertificate(lost.certificate, "it");
  const now = new Date();
  const revoked = [{ serial, notAfter, revokedAt: now, reason: "keyCompromise" } as const];
  const empty = await signRevocationList(etcd, [], { number: 1, now });
  const files = {
    "ca.crt": root,
    "list.der": empty.der,
    "peer.crt": peer.certificate,
    "peer.key": peer.privateKey,
    "server.crt": server.certificate,
    "server.key": server.privateKey,
  };
  const ports = new Set<number>();
  while (ports.size < 4) ports.add(await freePort(ports));
  const [port = 0, peerPort = 0, otherPort = 0, otherPeerPort = 0] = ports;
  await withFiles(files, async (folder) => {
    const start = (name: string, clients: number, peers: number): ReturnType<typeof spawn> => {
      const [clientUrl, peerUrl] = [`https://127.0.0.1:${clients}`, `https://127.0.0.1:${peers}`];
      const cluster = `a=https://127.0.0.1:${peerPort},b=https://127.0.0.1:${otherPeerPort}`;
      const words = [
        ...["--name", name, "--data-dir", name, "--initial-cluster", cluster],
        ...["--cert-file", "server.crt", "--key-file", "server.key", "--trusted-ca-file", "ca.crt"],
        ...["--client-cert-auth", "--client-crl-file", "list.der"],
        ...[
          "--peer-cert-file",
          "peer.crt",
          "--peer-key-file",
          "peer.key",
          "--peer-trusted-ca-file",
          "ca.crt",
        ],
        ...["--peer-client-cert-auth", "--peer-cert-allowed-cn", "etcd-peer", "--peer-crl-file", "list.der"],
        ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
        ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
      ];
      // A test that is killed takes it along.
      const argv = ["setpriv", "--pdeathsig", "KILL", "etcd", ...words] as const;
      const [program, ...rest] = toolbox.argv(argv, { cwd: folder, binds: [folder] });
      return spawn(program, rest, { stdio: "ignore" });
    };
    const members = [start("a", port, peerPort), start("b", otherPort, otherPeerPort)];
    const ended = Promise.all(members.map((member) => once(member, "exit")));
    const put = (own: Credentials | null): Promise<number | string> => post(port, "/v3/kv/put", root, own);
    try {
      // A put is answered once both members have found each other: neither has a majority alone.
      const patience = AbortSignal.timeout(50_000);
      while ((await put(client)) !== 200) await after(200, undefined, { signal: patience });
      assert.equal(await put(lost), 200);
      for (const own of [person, machine, null]) assert.equal(typeof (await put(own)), "string");
      const list = await signRevocationList(etcd, revoked, { number: 2, now });
      await writeFile(join(folder, "list.der"), list.der);
      assert.equal(typeof (await put(lost)), "string");
      assert.equal(await put(client), 200);
      assert.equal(typeof (await post(peerPort, "/version", root, client)), "string");
      assert.equal(typeof (await post(peerPort, "/version", root, peer)), "number");
    } finally {
      for (const member of members) member.kill("SIGKILL");
      await ended;
    }
  });
});
