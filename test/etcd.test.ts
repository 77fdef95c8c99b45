import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hasCode } from "../src/errors.ts";
import { listAlarms, listMembers, memberStatus, snapshot } from "../src/etcd/cluster.ts";
import { EtcdError } from "../src/etcd/failure.ts";
import { type EtcdChannel, openChannel } from "../src/etcd/grpc-channel.ts";
import { inform, type Update } from "../src/etcd/informer.ts";
import type { Change } from "../src/etcd/keys.ts";
import { compact, count, get, pages, put, range, remove, transact, transactAll } from "../src/etcd/kv.ts";
import { keepLeases } from "../src/etcd/lease.ts";
import { compare, type Operation } from "../src/etcd/txn.ts";
import { type WatchOptions, watch } from "../src/etcd/watch.ts";
import type { WatchEvent } from "../src/etcd/watch-position.ts";
import { type EtcdBed, openEtcdBed } from "./etcd-bed.ts";

let bed: EtcdBed;
let channel: EtcdChannel;
before(async () => {
  bed = await openEtcdBed();
  channel = bed.channel();
});
after(() => bed?.close());

test("a key is put, read as it is and as it was, and deleted", async () => {
  const first = await put(channel, "a/é", "one");
  const second = await put(channel, "a/é", Buffer.from([0, 255]));
  const now = await get(channel, "a/é");
  assert.deepEqual(now, {
    key: "a/é",
    value: Buffer.from([0, 255]),
    createRevision: first,
    modRevision: second,
    version: 2,
    lease: 0n,
  });
  assert.equal((await get(channel, "a/é", { revision: first }))?.value.toString(), "one");
  assert.deepEqual(await remove(channel, { prefix: "a/" }), { deleted: 1, revision: second + 1 });
  assert.equal(await get(channel, "a/é"), null);
});

test("a range of more than 4 MiB is read by pages of one revision", async () => {
  const value = "x".repeat(300);
  for (let n = 0; n < 16_000; n += 100) {
    await transact(channel, { do: puts("big/", n, 100, value) });
  }
  const all = await range(channel, { prefix: "big/" }, { pageSize: 50_000 });
  assert.equal(all.items.length, 16_000, "one answer of more than 4 MiB");

  const seen: string[] = [];
  let written = 0;
  for await (const page of pages(channel, { prefix: "big/" }, { pageSize: 999 })) {
    seen.push(...page.items.map(({ key }) => key));
    assert.equal(page.revision, all.revision, "every page is of the first one's revision");
    // Written between the pages, before and behind where we are: none of it is of that revision.
    written += 1;
    await put(channel, `big/${String(written).padStart(6, "0")}-late`, "");
  }
  assert.deepEqual(
    seen,
    all.items.map(({ key }) => key),
  );
  assert.equal((await count(channel, { prefix: "big/" })).count, 16_000 + written);
  await remove(channel, { prefix: "big/" });
});

test("keys are told apart by prefix, by range and by bytes", async () => {
  for (const key of ["p", "p/", "p/a", "p/b", "p0", "q", "\u{10ffff}"]) await put(channel, key, "");
  const keysOf = async (keys: Parameters<typeof range>[1]) =>
    (await range(channel, keys, { keysOnly: true, pageSize: 2 })).items.map(({ key }) => key);
  assert.deepEqual(await keysOf({ prefix: "p/" }), ["p/", "p/a", "p/b"]);
  assert.deepEqual(await keysOf({ from: "p/a", to: "p0" }), ["p/a", "p/b"]);
  assert.deepEqual(await keysOf({ key: "p" }), ["p"]);
  assert.deepEqual(await keysOf({ prefix: "" }), ["p", "p/", "p/a", "p/b", "p0", "q", "\u{10ffff}"]);
  assert.equal((await remove(channel, { prefix: "" })).deleted, 7);
});

test("a transaction is done whole, or its other branch is", async () => {
  const one = await transact(channel, {
    if: [compare.missing("t/a")],
    do: [
      { kind: "put", key: "t/a", value: "1" },
      { kind: "put", key: "t/b", value: "2" },
    ],
  });
  assert.equal(one.succeeded, true);
  const condition = { if: [compare.unchanged("t/a", one.revision - 1)] };
  const two = await transact(channel, {
    ...condition,
    do: [{ kind: "delete", keys: { prefix: "t/" } }],
    otherwise: [{ kind: "read", keys: { prefix: "t/" } }],
  });
  assert.equal(two.succeeded, false);
  const [read] = two.results;
  assert.ok(read?.kind === "read");
  assert.deepEqual(
    read.items.map(({ key }) => key),
    ["t/a", "t/b"],
  );
  const three = await transact(channel, {
    if: [
      compare.unchanged("t/a", one.revision),
      compare.exists("t/b"),
      compare.value("t/b", "=", "2"),
      compare.createRevision("t/b", "<", one.revision + 1),
      compare.modRevision("t/b", ">", one.revision - 1),
      compare.lease("t/b", "=", 0n),
      compare.value("t/a", "!=", "2"),
    ],
    do: [{ kind: "delete", keys: { prefix: "t/" } }],
  });
  assert.deepEqual(three.results, [{ kind: "delete", deleted: 2 }]);
});

test("129 operations are refused as a transaction, and done as two where that is asked for", async () => {
  const operations = puts("o/", 0, 129, "v");
  await assert.rejects(transact(channel, { do: operations }), (error) =>
    hasCode(error, "ETCD_TXN_TOO_LARGE"),
  );
  assert.equal((await count(channel, { prefix: "o/" })).count, 0);
  // That is etcd's own limit, not an opinion of ours.
  const limits = { operations: 1000, bytes: 1_500_000 };
  await assert.rejects(transact(channel, { do: operations }, { limits }), (error) =>
    hasCode(error, "ETCD_REFUSED"),
  );
  await put(channel, "fence", "mine");
  const fence = [compare.value("fence", "=", "mine")];
  assert.deepEqual(await transactAll(channel, fence, operations), { succeeded: true, done: 129 });
  await put(channel, "fence", "another's");
  const refused = await transactAll(channel, fence, operations);
  assert.deepEqual(refused, { succeeded: false, done: 0 });
  const twice: Operation[] = [...puts("o/", 0, 1, "v"), ...puts("o/", 0, 1, "w")];
  await assert.rejects(transact(channel, { do: twice }), (error) => {
    return error instanceof EtcdError && !error.sent && /duplicate key/.test(error.message);
  });
});

test("a request that is too large is refused by its bytes", async () => {
  const large = Buffer.alloc(800_000);
  const two: Operation[] = ["x", "y"].map((key) => ({ kind: "put", key: `l/${key}`, value: large }));
  await assert.rejects(transact(channel, { do: two }), (error) => hasCode(error, "ETCD_TXN_TOO_LARGE"));
  assert.deepEqual(await transactAll(channel, [], two), { succeeded: true, done: 2 });
});

test("a backlog is caught up with, over connections that are cut, and nothing is lost or seen twice", async () => {
  const door = await bed.door(member());
  const through = bed.channel([door.endpoint]);
  const { revision: start } = await count(channel, { prefix: "w/" });
  const total = 4000;
  for (let n = 0; n < total; n += 8) {
    await Promise.all(Array.from({ length: 8 }, (_, k) => put(channel, `w/${(n + k) % 100}`, `${n + k}`)));
  }
  const seen: string[] = [];
  let cuts = 0;
  let interruptions = 0;
  const options = { from: start + 1, onInterruption: () => (interruptions += 1) };
  for await (const event of watch(through, { prefix: "w/" }, options)) {
    if (event.kind !== "changes") continue;
    seen.push(...event.changes.map(({ item }) => item.value.toString()));
    if (seen.length >= total) break;
    if (cuts < 3) {
      cuts += 1;
      door.cut();
    }
  }
  assert.ok(cuts > 0 && interruptions > 0, `${cuts} cuts, ${interruptions} interruptions`);
  const numbers = seen.map(Number).toSorted((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from({ length: total }, (_, n) => n),
  );
});

test("a revision that etcd sends in pieces arrives as one", async () => {
  const { revision } = await count(channel, { prefix: "f/" });
  const value = Buffer.alloc(10_000, "f");
  // With what was before, well over the size at which etcd cuts (that of a request).
  const operations = puts("f/", 0, 120, value);
  await transact(channel, { do: operations });
  const second = await transact(channel, { do: operations });
  const all: Change[] = [];
  for await (const event of watch(channel, { prefix: "f/" }, { from: revision + 1, previous: true })) {
    assert.ok(event.kind === "changes");
    all.push(...event.changes);
    // Only whole revisions: each wrote 120 keys.
    assert.equal(all.length % 120, 0);
    if (event.revision === second.revision) break;
  }
  assert.equal(all.length, 240);
  assert.ok(all.slice(120).every(({ previous }) => previous?.value.equals(value)));
});

test("compaction is told as an event, and an informer lists again and says what changed", async () => {
  const door = await bed.door(member());
  const through = bed.channel([door.endpoint]);
  await put(channel, "i/kept", "1");
  await put(channel, "i/changed", "1");
  await put(channel, "i/gone", "1");
  const stop = new AbortController();
  const updates = inform(through, { prefix: "i/" }, { signal: stop.signal, pageSize: 2 });
  const first = await next(updates);
  assert.equal(first.source, "list");
  assert.deepEqual([...first.items.keys()], ["i/changed", "i/gone", "i/kept"]);
  await put(channel, "i/new", "1");
  assert.deepEqual(names(await next(updates)), ["put i/new"]);

  door.block();
  await put(channel, "i/changed", "2");
  await remove(channel, { key: "i/gone" });
  const { revision } = await count(channel, { prefix: "" });
  await compact(channel, revision);
  door.open();
  const later = await next(updates);
  assert.equal(later.source, "list");
  assert.deepEqual(names(later), ["delete i/gone", "put i/changed"]);
  assert.equal(later.items.get("i/changed")?.value.toString(), "2");
  assert.equal(later.items.size, 3);
  stop.abort();
  assert.equal((await updates.next()).done, true);

  const [event] = await collect({ prefix: "i/" }, { from: 1 }, 1);
  assert.deepEqual(event, { kind: "compacted", revision });
  await assert.rejects(get(channel, "i/new", { revision: 1 }), (error) => hasCode(error, "ETCD_COMPACTED"));
  await assert.rejects(compact(channel, 1), (error) => hasCode(error, "ETCD_COMPACTED"));
});

test("a quiet watch learns how far etcd is when it asks", async () => {
  const from = (await count(channel, { prefix: "quiet/" })).revision + 1;
  const revision = await put(channel, "elsewhere", "1");
  const events = await collect({ prefix: "quiet/" }, { from, progressMs: 20 }, 1);
  assert.deepEqual(events, [{ kind: "progress", revision }]);
});

test("only puts or only deletes are seen where that is asked for", async () => {
  const { revision } = await count(channel, { prefix: "" });
  await put(channel, "only", "1");
  await remove(channel, { key: "only" });
  await put(channel, "only", "2");
  const deletes = await collect({ key: "only" }, { from: revision + 1, only: "deletes" }, 1);
  assert.deepEqual(deletes.flatMap(changesOf), ["delete only"]);
  const found = await collect({ key: "only" }, { from: revision + 1, only: "puts" }, 1);
  assert.ok(found.flatMap(changesOf).every((change) => change === "put only"));
});

test("etcd is reached through a socket of this computer", async () => {
  const door = await bed.door(member(), join(bed.folder, "etcd.sock"));
  const through = bed.channel([door.endpoint]);
  await put(through, "socket", "1");
  assert.equal((await get(channel, "socket"))?.value.toString(), "1");
});

test("what was not sent says so; what may have been done is never done twice", async () => {
  const nobody = openChannel({ endpoints: ["http://127.0.0.1:9"], timeoutMs: 500 });
  await assert.rejects(put(nobody, "k", "v"), (error) => {
    return error instanceof EtcdError && error.code === "ETCD_UNREACHABLE" && !error.sent;
  });
  nobody.close();

  const door = await bed.door(member());
  const through = bed.channel([door.endpoint]);
  const uncertain = (error: unknown): boolean =>
    hasCode(error, "ETCD_UNCERTAIN") && error instanceof EtcdError && error.sent;
  await put(through, "once", "0");
  // No answer in time; then a connection that breaks under way, with time left to ask again.
  member().freeze();
  await assert.rejects(put(through, "once", "1", { timeoutMs: 1000 }), uncertain);
  const passed = door.passed();
  const second = put(through, "once", "2", { timeoutMs: 20_000 });
  const refused = assert.rejects(second, uncertain);
  while (door.passed() === passed) await new Promise(setImmediate);
  door.cut();
  await refused;
  member().thaw();
  const now = await get(channel, "once");
  assert.ok(now && now.version <= 3, `written ${now?.version} times`);
});

test("a signal ends calls, watches and informers", async () => {
  const stop = new AbortController();
  const watching = collect({ prefix: "" }, { from: 2 ** 40, signal: stop.signal }, 1);
  member().freeze();
  const writing = put(channel, "k", "v", { signal: stop.signal, timeoutMs: 60_000 });
  setImmediate(() => stop.abort());
  await assert.rejects(writing, (error) => hasCode(error, "INTERRUPTED"));
  assert.deepEqual(await watching, []);
  member().thaw();
  await assert.rejects(put(channel, "k", "v", { signal: stop.signal }), (error) =>
    hasCode(error, "INTERRUPTED"),
  );
  const closed = bed.channel();
  closed.close();
  await assert.rejects(get(closed, "k"), (error) => hasCode(error, "INTERRUPTED"));
});

test("keys hang on a lease, and go when it is given back or is taken away", async () => {
  const leases = keepLeases(channel);
  const [one, two] = await Promise.all([leases.grant(30), leases.grant(30)]);
  await put(channel, "lease/one", "", { lease: one.id });
  await put(channel, "lease/two", "", { lease: two.id });
  assert.equal((await get(channel, "lease/one"))?.lease, one.id, "ids are whole, all 64 bits");
  assert.ok(one.leftMs() > 0 && !one.lost.aborted);
  await one.release();
  assert.ok(one.lost.aborted && one.leftMs() === 0);
  assert.equal(await get(channel, "lease/one"), null);
  assert.ok(!two.lost.aborted);
  await one.release();
  leases.close();
  assert.ok(hasCode(two.lost.reason, "ETCD_LEASE_LOST"));
});

test("a lease is kept for longer than its time, also when the connection is cut", async () => {
  const door = await bed.door(member());
  const leases = keepLeases(bed.channel([door.endpoint]));
  const lease = await leases.grant(2);
  await put(channel, "kept", "", { lease: lease.id });
  // Five times its time, measured by a lease that nobody keeps.
  for (let n = 0; n < 5; n++) {
    const yardstick = keepLeases(channel);
    const other = await yardstick.grant(2);
    await put(channel, "yardstick", "", { lease: other.id });
    const { revision } = await count(channel, { key: "yardstick" });
    yardstick.close();
    await collect({ key: "yardstick" }, { from: revision + 1, only: "deletes" }, 1);
    if (n === 2) door.cut();
  }
  assert.ok(!lease.lost.aborted);
  assert.notEqual(await get(channel, "kept"), null);
  await lease.release();
});

test("who is cut off is told that the lease is lost before etcd gives it away", async () => {
  const door = await bed.door(member());
  const leases = keepLeases(bed.channel([door.endpoint]));
  const lease = await leases.grant(3);
  await put(channel, "cut-off", "", { lease: lease.id });
  const { revision } = await count(channel, { key: "cut-off" });
  const order: string[] = [];
  lease.lost.addEventListener("abort", () => order.push("told"));
  const expired = collect({ key: "cut-off" }, { from: revision + 1, only: "deletes" }, 1);
  door.block();
  await expired;
  order.push("given away");
  assert.deepEqual(order, ["told", "given away"]);
  assert.ok(hasCode(lease.lost.reason, "ETCD_LEASE_LOST"));
});

test("a lease that somebody takes away is lost as soon as etcd says so", async () => {
  const leases = keepLeases(channel);
  const lease = await leases.grant(3);
  const lost = new Promise((resolve) => lease.lost.addEventListener("abort", resolve));
  await bed.toolbox.run(
    ["etcdctl", "--endpoints", member().client, "lease", "revoke", lease.id.toString(16)],
    { step: "revoking" },
  );
  await lost;
  assert.match(String(lease.lost.reason), /does not know it/);
});

test("a snapshot is one that etcd's own tool takes for whole", async () => {
  const file = join(bed.folder, "snapshot.db");
  await writeFile(file, snapshot(channel));
  const { stdout } = await bed.toolbox.run(["etcdctl", "snapshot", "status", "--write-out", "json", file], {
    step: "looking at the snapshot",
    env: { ETCDCTL_API: "3" },
  });
  const status: unknown = JSON.parse(stdout);
  assert.ok(typeof status === "object" && status && "totalKey" in status && Number(status.totalKey) > 0);
});

test("one member says who it is, and rings no alarm", async () => {
  const [only, ...others] = await listMembers(channel);
  assert.deepEqual(others, []);
  assert.equal(only?.name, "m1");
  const status = await memberStatus(channel, { endpoint: member().client });
  assert.equal(status.leaderId, only?.id);
  assert.match(status.version, /^3\./);
  assert.deepEqual(await listAlarms(channel), []);
});

test("an etcd that came back with an earlier history is noticed, and listed anew", async () => {
  for (let n = 0; n < 10; n++) await put(channel, "back/gone", "1");
  const { revision } = await count(channel, { prefix: "back/" });
  const stop = new AbortController();
  const updates = inform(channel, { prefix: "back/" }, { signal: stop.signal });
  assert.deepEqual(names(await next(updates)), ["put back/gone"]);
  await member().kill();
  await rm(join(bed.folder, member().name), { recursive: true });
  member().start();
  const now = await put(channel, "back/new", "1", { timeoutMs: 60_000 });
  assert.ok(now < revision);
  const update = await next(updates);
  assert.equal(update.source, "list");
  assert.deepEqual(names(update), ["delete back/gone", "put back/new"]);
  stop.abort();
});

function member() {
  const [first] = bed.members;
  assert.ok(first);
  return first;
}

function puts(prefix: string, from: number, howMany: number, value: string | Buffer): Operation[] {
  return Array.from({ length: howMany }, (_, n) => ({
    kind: "put",
    key: `${prefix}${String(from + n).padStart(6, "0")}`,
    value,
  }));
}

/** The first events of a watch. */
async function collect(
  keys: Parameters<typeof watch>[1],
  options: WatchOptions,
  howMany: number,
): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  for await (const event of watch(channel, keys, options)) {
    events.push(event);
    if (events.length >= howMany) break;
  }
  return events;
}

async function next(updates: AsyncGenerator<Update, void>): Promise<Update> {
  const { value } = await updates.next();
  assert.ok(value);
  return value;
}

function names({ changes }: Update): string[] {
  return changes.map(({ type, item }) => `${type} ${item.key}`);
}

function changesOf(event: WatchEvent): string[] {
  return event.kind === "changes" ? event.changes.map(({ type, item }) => `${type} ${item.key}`) : [];
}
