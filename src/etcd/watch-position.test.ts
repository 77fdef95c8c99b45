import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Event, WatchResponse } from "./generated/etcd.ts";
import { type Position, positionAt, receive, resumed } from "./watch-position.ts";

const start: Position = { ...positionAt(10), cluster: 1n };

test("a compacted revision is known by its number alone, not by reason or header", () => {
  const created = receive(start, message({ created: true }, 0));
  assert.deepEqual(created, { position: start, event: null, outcome: "read" });
  const ended = receive(start, message({ canceled: true, compactRevision: 12n }, 0));
  assert.deepEqual(ended.event, { kind: "compacted", revision: 12 });
  assert.deepEqual(ended.position, start);
});

test("what etcd refuses is told apart from what it ends for a reason of its own", () => {
  const denied = message({ created: true, canceled: true, cancelReason: "permission denied" }, 20);
  assert.deepEqual(receive(start, denied).outcome, { refused: "permission denied" });
  assert.equal(receive(start, message({ canceled: true }, 20)).outcome, "reopen");
  const old = message({ created: true, canceled: true, cancelReason: "revision of auth store is old" }, 20);
  assert.equal(receive(start, old).outcome, "reopen");
});

test("the header of a message with changes does not move the position, nor does that of the first", () => {
  const caught = receive(start, message({ events: [eventAt(11, "a")] }, 5000));
  assert.equal(caught.position.next, 12);
  assert.equal(receive(start, message({ created: true }, 5000)).position.next, 10);
});

test("progress moves it on, and never back", () => {
  assert.deepEqual(receive(start, message({}, 30)).event, { kind: "progress", revision: 30 });
  assert.equal(receive(start, message({}, 30)).position.next, 31);
  assert.deepEqual(receive(start, message({}, 5)), { position: start, event: null, outcome: "read" });
});

test("a member that does not know of the position yet is noticed", () => {
  assert.equal(receive(start, message({ created: true }, 8)).outcome, "behind");
  assert.equal(receive(start, message({ created: true }, 9)).outcome, "read");
});

test("another cluster's history is not taken for the one that was seen", () => {
  const other = message({ created: true }, 500);
  const moved = receive({ ...start, cluster: 2n }, other);
  assert.deepEqual(moved.event, { kind: "rewound", revision: 500 });
  assert.equal(receive(positionAt(10), other).position.cluster, 1n);
});

test("whatever is cut, in pieces or sent again: each change arrives once, in order, by whole revisions", () => {
  const revision = fc.integer({ min: 1, max: 4 });
  const choice = fc.record({
    batch: fc.integer({ min: 1, max: 5 }),
    pieces: fc.boolean(),
    cut: fc.nat(3),
    early: fc.nat(2),
  });
  fc.assert(
    fc.property(
      fc.array(revision, { maxLength: 30 }),
      fc.array(choice, { minLength: 1 }),
      (sizes, choices) => {
        const history = sizes.map((size, n) =>
          Array.from({ length: size }, (_, k) => eventAt(n + 1, `${n + 1}/${k}`)),
        );
        let position = positionAt(1);
        const seen: string[] = [];
        for (let turn = 0; position.next <= history.length; turn++) {
          const { batch, pieces, cut, early } = choices[turn % choices.length] ?? {
            batch: 1,
            pieces: false,
            cut: 0,
            early: 0,
          };
          // A stream: etcd sends some revisions, perhaps from before what was asked for, and the connection may break.
          const from = Math.max(1, position.next - early);
          const messages = [
            message({ created: true }, history.length),
            ...sent(history, from, batch, pieces),
          ];
          // Sooner or later a stream lives long enough.
          const kept = cut > 0 && turn % 3 !== 2 ? messages.slice(0, cut) : messages;
          for (const each of kept) {
            const step = receive(position, each);
            position = step.position;
            if (step.event?.kind === "changes") seen.push(...step.event.changes.map(({ item }) => item.key));
          }
          position = resumed(position);
        }
        assert.deepEqual(
          seen,
          history.flat().map(({ kv }) => kv?.key.toString()),
        );
      },
    ),
  );
});

/** Revisions from `from` on as etcd sends them: `batch` to a message, each message whole or a piece for each event. */
function sent(history: readonly Event[][], from: number, batch: number, pieces: boolean): WatchResponse[] {
  const messages: WatchResponse[] = [];
  for (let first = from; first <= history.length; first += batch) {
    const events = history.slice(first - 1, first - 1 + batch).flat();
    if (!pieces) messages.push(message({ events }, history.length));
    else
      events.forEach((event, n) => {
        messages.push(message({ events: [event], fragment: n < events.length - 1 }, history.length));
      });
  }
  return messages;
}

function eventAt(revision: number, key: string): Event {
  const modRevision = BigInt(revision);
  const kv = {
    key: Buffer.from(key),
    value: Buffer.alloc(0),
    createRevision: modRevision,
    modRevision,
    version: 1n,
    lease: 0n,
  };
  return { type: 0, kv, prevKv: undefined };
}

function message(what: Partial<WatchResponse>, head: number): WatchResponse {
  const header = { clusterId: 1n, memberId: 1n, revision: BigInt(head), raftTerm: 1n };
  return { ...WatchResponse.create({ header }), ...what };
}
