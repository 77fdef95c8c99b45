import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { hasCode } from "../src/errors.ts";
import {
  addLearner,
  defragment,
  listMembers,
  memberStatus,
  moveLeader,
  moveMember,
  promoteMember,
  removeMember,
} from "../src/etcd/cluster.ts";
import { campaign, type Leader, observe } from "../src/etcd/election.ts";
import { EtcdError } from "../src/etcd/failure.ts";
import type { EtcdChannel } from "../src/etcd/grpc-channel.ts";
import { inform } from "../src/etcd/informer.ts";
import { count, get, put, remove, transact } from "../src/etcd/kv.ts";
import { keepLeases } from "../src/etcd/lease.ts";
import { watch } from "../src/etcd/watch.ts";
import { type EtcdBed, openEtcdBed, type TestMember } from "./etcd-bed.ts";

let bed: EtcdBed;
let channel: EtcdChannel;
before(async () => {
  bed = await openEtcdBed({ members: 3 });
  channel = bed.channel();
});
after(() => bed?.close());

test("a watch sees every write that was confirmed, though the member it hangs on is killed or freezes", async () => {
  // A client that starts on the member that will fail.
  for (const fail of ["kill", "freeze"] as const) {
    const [victim, ...others] = bed.members;
    assert.ok(victim);
    const through = bed.channel([victim.client]);
    await get(through, "any");
    through.setEndpoints([victim.client, ...others.map(({ client }) => client)]);
    const prefix = `${fail}/`;
    const { revision } = await count(channel, { prefix });
    const seen = new Set<string>();
    const interruptions: unknown[] = [];
    const stop = new AbortController();
    const options = {
      from: revision + 1,
      signal: stop.signal,
      onInterruption: (e: unknown) => interruptions.push(e),
    };
    const confirmed = new Set<string>();
    let done = false;
    const watching = (async () => {
      for await (const event of watch(through, { prefix }, options)) {
        if (event.kind !== "changes") continue;
        for (const { item } of event.changes) {
          assert.ok(!seen.has(item.key), `${item.key} was seen twice`);
          seen.add(item.key);
        }
        if (done && [...confirmed].every((key) => seen.has(key))) return;
      }
    })();
    for (let n = 0; n < 40; n++) {
      if (n === 10) {
        if (fail === "kill") await victim.kill();
        else victim.freeze();
      }
      const key = `${prefix}${n}`;
      // Each key once: what is uncertain is not asked again, and may be seen or not.
      const written = put(through, key, "", { timeoutMs: 2500 });
      await written.then(
        () => confirmed.add(key),
        (error: unknown) => {
          assert.ok(error instanceof EtcdError && error.sent, String(error));
        },
      );
    }
    assert.ok(confirmed.size >= 35, `${confirmed.size} confirmed`);
    done = true;
    await put(channel, `${prefix}last`, "");
    await watching;
    assert.ok(interruptions.length > 0);
    stop.abort();
    if (fail === "kill") victim.start();
    else victim.thaw();
    await memberStatus(channel, { endpoint: victim.client, needsLeader: true, timeoutMs: 60_000 });
  }
});

test("a lease outlives the member that it is kept through, killed or frozen", async () => {
  for (const fail of ["kill", "freeze"] as const) {
    const [victim, ...others] = bed.members;
    assert.ok(victim);
    const through = bed.channel([victim.client]);
    const leases = keepLeases(through);
    const lease = await leases.grant(5);
    await put(through, "outlives", "", { lease: lease.id });
    through.setEndpoints([victim.client, ...others.map(({ client }) => client)]);
    if (fail === "kill") await victim.kill();
    else victim.freeze();
    // A lease that nobody keeps, on the others, says when the time is over.
    const elsewhere = bed.channel(others.map(({ client }) => client));
    const yardstick = keepLeases(elsewhere);
    const other = await yardstick.grant(5, { timeoutMs: 20_000 });
    const from = await put(elsewhere, "yardstick", "", { lease: other.id, timeoutMs: 20_000 });
    yardstick.close();
    for await (const event of watch(elsewhere, { key: "yardstick" }, { from: from + 1, only: "deletes" })) {
      if (event.kind === "changes") break;
    }
    assert.ok(!lease.lost.aborted, String(lease.lost.reason));
    assert.notEqual(await get(elsewhere, "outlives"), null);
    await lease.release();
    if (fail === "kill") victim.start();
    else victim.thaw();
    await memberStatus(channel, { endpoint: victim.client, needsLeader: true, timeoutMs: 60_000 });
  }
});

test("an informer that lived through all of it holds what etcd holds", async () => {
  const stop = new AbortController();
  const updates = inform(bed.channel(), { prefix: "inf/" }, { signal: stop.signal });
  let held = new Map<string, string>();
  const following = (async () => {
    for await (const { items } of updates) {
      held = new Map([...items].map(([key, { value }]) => [key, value.toString()]));
      if (held.get("inf/end") === "yes") return;
    }
  })();
  for (const member of bed.members) {
    for (let n = 0; n < 20; n++) await put(channel, `inf/${n}`, `${member.name} ${n}`, { timeoutMs: 20_000 });
    await remove(channel, { key: "inf/3" }, { timeoutMs: 20_000 });
    await member.kill();
    await put(channel, `inf/without-${member.name}`, "", { timeoutMs: 20_000 }).catch(() => {});
    member.start();
    await memberStatus(channel, { endpoint: member.client, needsLeader: true, timeoutMs: 60_000 });
  }
  await put(channel, "inf/end", "yes", { timeoutMs: 20_000 });
  await following;
  const { stdout } = await bed.toolbox.run(
    ["etcdctl", "--endpoints", bed.endpoints.join(","), "get", "--prefix", "inf/", "--write-out", "json"],
    { step: "reading" },
  );
  assert.deepEqual(held, readByEtcdctl(stdout));
});

test("of two candidates one leads; when it steps down the other does, and everybody sees it", async () => {
  const leases = keepLeases(channel);
  const stop = new AbortController();
  const observed: string[] = [];
  const observing = (async () => {
    for await (const leader of observe(channel, "election", { signal: stop.signal })) {
      observed.push(leader?.value ?? "nobody");
    }
  })();
  const candidate = (value: string) => campaign(channel, leases, { name: "election", value, ttlSeconds: 10 });
  const first = await candidate("a");
  const waiting = candidate("b");
  // It stands already when the first one steps down.
  await seenBy(channel, "election", 2);
  assert.equal(await first.proclaim("a, still"), true);
  await first.resign();
  assert.ok(first.lost.aborted);
  assert.equal(await first.proclaim("a, again"), false);
  const second = await waiting;
  assert.ok(second.revision > first.revision);
  await until(channel, "election", (leader) => leader?.value === "b");
  // By another's hand: the leader is told, and the fence holds.
  await remove(channel, { key: second.key });
  await new Promise<void>((resolve) => {
    if (second.lost.aborted) resolve();
    else second.lost.addEventListener("abort", () => resolve());
  });
  const write = { kind: "put", key: "by-b", value: "" } as const;
  assert.equal((await transact(channel, { if: second.fence, do: [write] })).succeeded, false);
  await until(channel, "election", (leader) => leader === null);
  stop.abort();
  await observing;
  assert.deepEqual(observed.filter((value, n) => value !== "nobody" || n > 0).at(-1), "nobody");
  assert.ok(observed.includes("a") && observed.includes("b"));
  leases.close();
});

test("who gives up standing leaves the way free", async () => {
  const leases = keepLeases(channel);
  const first = await campaign(channel, leases, { name: "given-up", value: "a", ttlSeconds: 10 });
  const stop = new AbortController();
  const second = campaign(channel, leases, {
    name: "given-up",
    value: "b",
    ttlSeconds: 60,
    signal: stop.signal,
  });
  await seenBy(channel, "given-up", 2);
  const third = campaign(channel, leases, { name: "given-up", value: "c", ttlSeconds: 10 });
  await seenBy(channel, "given-up", 3);
  stop.abort();
  await assert.rejects(second, (error) => hasCode(error, "INTERRUPTED"));
  await first.resign();
  assert.equal((await get(channel, (await third).key))?.value.toString(), "c");
  leases.close();
});

test("a leader that was stopped for longer than its lease changes nothing when it goes on", async () => {
  const key = "written-by-the-leader";
  const script = new URL("etcd-candidate.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, "stopped", key, ...bed.endpoints], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const lines = createInterface({ input: child.stdout });
    const [elected] = await once(lines, "line");
    assert.equal(elected, "elected");
    const told = once(lines, "line");
    child.kill("SIGSTOP");
    const leases = keepLeases(channel);
    const next = await campaign(channel, leases, { name: "stopped", value: "next", ttlSeconds: 10 });
    const write = { kind: "put", key, value: "by the second leader" } as const;
    assert.equal((await transact(channel, { if: next.fence, do: [write] })).succeeded, true);
    child.kill("SIGCONT");
    assert.deepEqual(await told, ["refused"]);
    assert.equal((await get(channel, key))?.value.toString(), "by the second leader");
    await next.resign();
    leases.close();
  } finally {
    child.kill("SIGKILL");
  }
});

test("without a majority nothing is written, and what is known can still be read; then all goes on", async () => {
  const [stays, ...fall] = bed.members;
  assert.ok(stays);
  await put(channel, "majority", "1", { timeoutMs: 20_000 });
  const alone = bed.channel([stays.client]);
  const stop = new AbortController();
  const options = { from: 1, signal: stop.signal };
  // The member lives and answers pings: only that it knows no leader can end a stream to it.
  const left = new Promise<unknown>((resolve) => {
    void drain(watch(alone, { key: "majority" }, { ...options, onInterruption: resolve }));
  });
  for (const member of fall) await member.kill();
  assert.match(String(await left), /no leader/);
  stop.abort();
  await assert.rejects(put(alone, "majority", "2", { timeoutMs: 1500 }), EtcdError);
  assert.equal((await get(alone, "majority", { stale: true }))?.value.toString(), "1");
  assert.equal((await listMembers(alone, { stale: true })).length, 3);
  for (const member of fall) member.start();
  await put(channel, "majority", "3", { timeoutMs: 60_000 });
  assert.equal((await get(channel, "majority"))?.value.toString(), "3");
});

test("a member is added as a learner, promoted, led by, and removed", async () => {
  const added = await bed.add([], async (member: TestMember) => {
    const { added: learner, members } = await addLearner(channel, [member.peer], { timeoutMs: 20_000 });
    assert.ok(learner.learner && members.length === 4);
    return [...bed.members.map(({ name, peer }) => `${name}=${peer}`), `${member.name}=${member.peer}`].join(
      ",",
    );
  });
  const learner = (await listMembers(channel)).find(({ learner: is }) => is);
  assert.ok(learner);
  // A learner turns reads away; a client that knows others too asks those.
  await put(channel, "majority", "4", { timeoutMs: 20_000 });
  const both = bed.channel([added.client, ...bed.endpoints]);
  await memberStatus(both, { endpoint: added.client, timeoutMs: 60_000 });
  assert.notEqual(await get(both, "majority"), null);
  await caughtUp(() => promoteMember(channel, learner.id));
  assert.ok((await listMembers(channel)).every(({ learner: is }) => !is));

  const { leaderId } = await memberStatus(channel);
  const leader = (await listMembers(channel)).find(({ id }) => id === leaderId);
  await caughtUp(() => moveLeader(channel, learner.id, { endpoint: leader?.clientUrls[0] ?? "" }));
  assert.equal((await memberStatus(channel, { endpoint: added.client })).leaderId, learner.id);
  await assert.rejects(moveLeader(channel, learner.id, { endpoint: bed.endpoints[0] ?? "" }), (error) =>
    hasCode(error, "ETCD_REFUSED"),
  );
  await moveMember(channel, learner.id, [added.peer]);
  await defragment(channel, { endpoint: added.client, timeoutMs: 60_000 });
  assert.equal((await removeMember(channel, learner.id, { timeoutMs: 20_000 })).length, 3);
  // The one that led is gone: this waits for the next.
  await get(channel, "majority", { timeoutMs: 60_000 });
  await assert.rejects(removeMember(channel, learner.id), (error) => hasCode(error, "ETCD_REFUSED"));
});

/** Asks until etcd does not refuse any more: it is not ready yet. */
async function caughtUp(work: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!hasCode(error, "ETCD_REFUSED", "ETCD_UNCERTAIN", "ETCD_UNREACHABLE")) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function drain(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events);
}

/** Waits until so many stand in an election. */
async function seenBy(to: EtcdChannel, name: string, candidates: number): Promise<void> {
  for await (const { items } of inform(to, { prefix: `${name}/` })) if (items.size >= candidates) return;
}

async function until(to: EtcdChannel, name: string, is: (leader: Leader | null) => boolean): Promise<void> {
  for await (const leader of observe(to, name)) if (is(leader)) return;
}

function readByEtcdctl(json: string): Map<string, string> {
  const answer: { kvs: { key: string; value?: string }[] } = JSON.parse(json);
  const text = (base64 = ""): string => Buffer.from(base64, "base64").toString();
  return new Map(answer.kvs.map(({ key, value }) => [text(key), text(value)]));
}
