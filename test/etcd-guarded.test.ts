import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openToolbox } from "../src/compose/toolbox.ts";
import { hasCode } from "../src/errors.ts";
import { defragment, disarm, listAlarms } from "../src/etcd/cluster.ts";
import type { TlsMaterial } from "../src/etcd/connection.ts";
import { EtcdError } from "../src/etcd/failure.ts";
import { openChannel } from "../src/etcd/grpc-channel.ts";
import { compact, count, get, put, remove } from "../src/etcd/kv.ts";
import { keepLeases } from "../src/etcd/lease.ts";
import { watch } from "../src/etcd/watch.ts";
import { cacheDirectory } from "../src/paths.ts";
import { silent } from "../src/progress.ts";
import { type EtcdBed, openEtcdBed } from "./etcd-bed.ts";

/** An etcd that lets in only who bears a certificate, and has little room. */
let bed: EtcdBed;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "atoll-etcd-tls-"));
  await makeCertificates(folder);
  const flags = [
    ...["--client-cert-auth", "--trusted-ca-file", join(folder, "ca.crt")],
    ...["--cert-file", join(folder, "server.crt"), "--key-file", join(folder, "server.key")],
  ];
  bed = await openEtcdBed({
    tls: { flags, client: await material("one") },
    flags: ["--quota-backend-bytes", String(16 * 1024 * 1024)],
  });
});
after(async () => {
  await bed?.close();
  await rm(folder, { recursive: true, force: true });
});

test("with the fleet's certificate one gets in; with another's, another's CA, or none one does not", async () => {
  assert.ok((await put(bed.channel(), "k", "v")) > 0);
  const [endpoint = ""] = bed.endpoints;
  const stranger = await material("stranger");
  const ours = await material("one");
  const wrong: (TlsMaterial | undefined)[] = [undefined, stranger, { ...ours, ca: stranger.ca }];
  for (const tls of wrong) {
    const channel = openChannel({ endpoints: [endpoint], timeoutMs: 500, ...(tls && { tls }) });
    await assert.rejects(put(channel, "k", "v"), (error) => hasCode(error, "ETCD_UNREACHABLE"));
    channel.close();
  }
  const broken = openChannel({ endpoints: [endpoint], tls: { ...ours, key: "no key" }, timeoutMs: 500 });
  await assert.rejects(get(broken, "k"), (error) => hasCode(error, "ETCD_UNREACHABLE"));
  const plain = openChannel({ endpoints: [endpoint.replace("https", "http")], timeoutMs: 500 });
  await assert.rejects(get(plain, "k"), EtcdError);
  plain.close();
});

test("a certificate that bears a name is taken for that name", async () => {
  const ours = await material("one");
  const named = (serverName: string) =>
    openChannel({ endpoints: bed.endpoints, tls: { ...ours, serverName }, timeoutMs: 500 });
  const right = named("etcd.fleet");
  assert.ok((await put(right, "k", "v")) > 0);
  right.close();
  const other = named("etcd.elsewhere");
  await assert.rejects(put(other, "k", "v"), (error) => hasCode(error, "ETCD_UNREACHABLE"));
  other.close();

  // The server's certificate is for 127.0.0.1, not for this address nor for this name.
  const [member] = bed.members;
  assert.ok(member);
  const door = await bed.door(member, "127.0.0.2");
  for (const endpoint of [door.endpoint, `https://localhost:${member.port}`]) {
    const channel = openChannel({ endpoints: [endpoint], tls: ours, timeoutMs: 500 });
    await assert.rejects(get(channel, "k"), (error) => {
      return hasCode(error, "ETCD_UNREACHABLE") && /altnames/.test(error.message);
    });
    channel.close();
  }
});

test("certificates are renewed under calls, watches and leases, and nothing is lost", async () => {
  const channel = bed.channel();
  const leases = keepLeases(channel);
  const lease = await leases.grant(3);
  const { revision } = await count(channel, { prefix: "r/" });
  let interruptions = 0;
  const seen: string[] = [];
  const watching = (async () => {
    const options = { from: revision + 1, onInterruption: () => (interruptions += 1) };
    for await (const event of watch(channel, { prefix: "r/" }, options)) {
      if (event.kind !== "changes") continue;
      seen.push(...event.changes.map(({ item }) => item.key));
      if (seen.includes("r/end")) return;
    }
  })();
  await put(channel, "r/0", "", { lease: lease.id });
  await untilSeen(seen, "r/0");
  const underway = Array.from({ length: 50 }, (_, n) => put(channel, `r/${n + 1}`, ""));
  setImmediate(() => void material("two").then((tls) => channel.renewTls(tls)));
  await Promise.all(underway);
  await untilInterrupted(() => interruptions);
  await put(channel, "r/end", "");
  await watching;
  assert.equal(new Set(seen).size, seen.length);
  assert.equal(seen.length, 52);
  assert.ok(!lease.lost.aborted);
  await lease.release();

  // The new ones are what is used: with one that etcd does not trust nothing goes on, with the next all does.
  channel.renewTls(await material("stranger"));
  await assert.rejects(put(channel, "k", "v", { timeoutMs: 500 }), (error) => {
    return error instanceof EtcdError && !error.sent;
  });
  channel.renewTls(await material("one"));
  assert.ok((await put(channel, "k", "v")) > 0);
});

test("a database that is full refuses writes, and takes them again when there is room", async () => {
  const channel = bed.channel();
  const [endpoint = ""] = bed.endpoints;
  const value = Buffer.alloc(1024 * 1024);
  const full = (error: unknown): boolean => error instanceof EtcdError && error.grpc === "RESOURCE_EXHAUSTED";
  await assert.rejects(async () => {
    for (let n = 0; n < 40; n++) await put(channel, `full/${n}`, value);
  }, full);
  const [alarm] = await listAlarms(channel);
  assert.equal(alarm?.kind, "space");
  await assert.rejects(put(channel, "full/more", ""), full);
  const { revision } = await remove(channel, { prefix: "full/" });
  await compact(channel, revision);
  await defragment(channel, { endpoint });
  assert.ok(alarm);
  await disarm(channel, alarm);
  assert.deepEqual(await listAlarms(channel), []);
  assert.ok((await put(channel, "full/more", "")) > 0);
});

async function untilSeen(seen: readonly string[], key: string): Promise<void> {
  while (!seen.includes(key)) await new Promise(setImmediate);
}

async function untilInterrupted(interruptions: () => number): Promise<void> {
  while (interruptions() === 0) await new Promise(setImmediate);
}

async function material(name: string): Promise<TlsMaterial> {
  const read = (file: string) => readFile(join(folder, file), "utf8");
  const ca = name === "stranger" ? "stranger-ca.crt" : "ca.crt";
  return { ca: await read(ca), cert: await read(`${name}.crt`), key: await read(`${name}.key`) };
}

/** A CA with a server and two clients, and a stranger with a CA of his own. */
async function makeCertificates(into: string): Promise<void> {
  const toolbox = await openToolbox({ cache: cacheDirectory(), progress: silent });
  const script = `
newkey="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
for ca in ca stranger-ca; do
  openssl req -x509 $newkey -subj /CN=$ca -keyout $ca.key -out $ca.crt
done
issue() {
  openssl req -x509 $newkey -subj /CN=$1 -addext "$3" -addext basicConstraints=critical,CA:FALSE \\
    -CA $2.crt -CAkey $2.key -keyout $1.key -out $1.crt
}
issue server ca subjectAltName=IP:127.0.0.1,DNS:etcd.fleet
issue one ca extendedKeyUsage=clientAuth
issue two ca extendedKeyUsage=clientAuth
issue stranger stranger-ca extendedKeyUsage=clientAuth`;
  await toolbox.run(["sh", "-euc", script], { step: "making certificates", cwd: into });
}
