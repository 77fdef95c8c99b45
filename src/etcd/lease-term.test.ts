import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { answered, asked, broken, granted, isDue, lookEveryMs, lostAt, type Term } from "./lease-term.ts";

test("a lease runs from when it was asked for, and is lost a tenth of its time before it ends", () => {
  const term = granted(1000, 10_000);
  assert.equal(term.heldUntil, 11_000);
  assert.equal(lostAt(term), 10_000);
});

test("an answer extends it from when its own request was sent, not from when it came", () => {
  const twice = asked(asked(granted(0, 10_000), 3000), 6000);
  const once = answered(twice, 10_000);
  assert.equal(once?.heldUntil, 13_000);
  assert.equal(once && answered(once, 10_000)?.heldUntil, 16_000);
});

test("no time left means that it is gone; an answer to what was asked on a broken stream means nothing", () => {
  assert.equal(answered(asked(granted(0, 10_000), 3000), 0), null);
  const after = broken(asked(granted(0, 10_000), 3000));
  assert.equal(answered(after, 10_000)?.heldUntil, 10_000);
});

test("it is asked for at every second look, and an answer has until the next one", () => {
  const term = granted(0, 12_000);
  const look = lookEveryMs(term);
  assert.deepEqual([look, isDue(term, look), isDue(term, 2 * look)], [2000, false, true]);
  assert.equal(lookEveryMs(granted(0, 2000)), 500);
});

test("whatever comes, it is never held for longer than etcd holds it", () => {
  const step = fc.record({ what: fc.constantFrom("ask", "answer", "break"), after: fc.nat(5000) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      // etcd extends when a request arrives: at the earliest when it was sent.
      let now = 0;
      let etcdHolds = 10_000;
      let term: Term = granted(0, 10_000);
      let inFlight: number[] = [];
      for (const { what, after } of steps) {
        now += after;
        if (what === "ask") {
          term = asked(term, now);
          inFlight.push(now);
        } else if (what === "break") {
          term = broken(term);
          inFlight = [];
        } else {
          const sentAt = inFlight.shift();
          if (sentAt === undefined) continue;
          etcdHolds = Math.max(etcdHolds, sentAt + 10_000);
          term = answered(term, 10_000) ?? term;
        }
        assert.ok(term.heldUntil <= etcdHolds && lostAt(term) < etcdHolds);
      }
    }),
  );
});
