import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { type Authority, createAuthority } from "./authority.ts";
import { isIssuedBy, readCertificate } from "./certificate.ts";
import { planRenewal } from "./renewal.ts";
import {
  finishRotation,
  goBack,
  issuerOf,
  type Rotation,
  startRotation,
  switchIssuer,
  trustedOf,
  trustId,
} from "./rotation.ts";
import { askOnce, call, startServer } from "./sample-server.ts";
import {
  credentialsFor,
  machineId,
  sampleAuthority,
  sampleFleet,
  sampleMachine,
  trustIn,
} from "./samples.ts";
import type { Credentials, ServerTrust } from "./tls.ts";

const now = new Date();

async function single(): Promise<{ rotation: Rotation<Authority>; next: Authority }> {
  const [current, next] = await Promise.all([sampleAuthority(), sampleAuthority()]);
  return { rotation: { state: "single", current, since: now }, next };
}

function trustOf(rotation: Rotation<Authority>): Promise<ServerTrust> {
  const [first, ...others] = trustedOf(rotation);
  assert.ok(first);
  return trustIn([first, ...others]);
}

test("a rotation goes through its states, and back, each from the one before it alone", async () => {
  const { rotation, next } = await single();
  const both = startRotation(rotation, next, now);
  const moved = switchIssuer(both, [], now);
  const done = finishRotation(moved, [], now);
  assert.deepEqual([both.state, moved.state, done.state], ["both-trusted", "new-issues", "single"]);
  assert.deepEqual([both, moved, done].map(issuerOf), [rotation.current, next, next]);
  assert.deepEqual(trustedOf(both), [rotation.current, next]);
  assert.deepEqual(trustedOf(moved), [next, rotation.current]);
  assert.deepEqual(trustedOf(done), [next]);
  assert.deepEqual(goBack(both, [], now), rotation);
  assert.deepEqual(goBack(moved, [], now), both);

  const wrong = { code: "ROTATION_REFUSED" };
  assert.throws(() => switchIssuer(rotation, [], now), wrong);
  assert.throws(() => finishRotation(rotation, [], now), wrong);
  assert.throws(() => goBack(rotation, [], now), wrong);
  assert.throws(() => startRotation(both, next, now), wrong);
  assert.throws(() => finishRotation(both, [], now), wrong);
  assert.throws(() => startRotation(moved, next, now), wrong);
  assert.throws(() => switchIssuer(moved, [], now), wrong);
});

test("no step is taken that would cut somebody off; the refusal names whom", async () => {
  const { rotation, next } = await single();
  const both = startRotation(rotation, next, now);
  assert.throws(() => switchIssuer(both, ["m1", "m2"], now), { message: /not all trust .*: m1, m2/ });
  const many = ["m1", "m2", "m3", "m4", "m5", "m6", "m7"];
  assert.throws(() => finishRotation(switchIssuer(both, [], now), many, now), { message: /m5 and 2 more/ });
  assert.throws(() => goBack(both, ["m1"], now), { message: /held by m1/ });
});

test("an authority is not replaced by itself, another fleet's, another purpose's, or one out of its time", async () => {
  const { rotation } = await single();
  const other = (options: Partial<Parameters<typeof createAuthority>[0]>): Promise<Authority> =>
    createAuthority({ fleet: sampleFleet, purpose: "fleet", now, ...options });
  for (const next of [
    rotation.current,
    await other({ fleet: "lagoon" }),
    await other({ purpose: "etcd" }),
    await other({ now: new Date(now.getTime() + 1e9) }),
    await other({ life: 1, now: new Date(now.getTime() - 1e9) }),
  ]) {
    assert.throws(() => startRotation(rotation, next, now), { code: "ROTATION_REFUSED" });
  }
});

test("on any way through the states, who issues is trusted, and was so in the state before", async () => {
  const { rotation, next } = await single();
  const step = fc.constantFrom("start", "switch", "finish", "back");
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      let state = rotation;
      for (const name of steps) {
        const before = state;
        const spare = state.current === next ? rotation.current : next;
        try {
          if (name === "start") state = startRotation(state, spare, now);
          if (name === "switch") state = switchIssuer(state, [], now);
          if (name === "finish") state = finishRotation(state, [], now);
          if (name === "back") state = goBack(state, [], now);
        } catch {
          assert.equal(state, before);
        }
        assert.ok(trustedOf(state).includes(issuerOf(state)));
        assert.ok(trustedOf(before).includes(issuerOf(state)));
        // Of two neighbouring states, one's issuer is always trusted in the other: nobody has to move at once.
        assert.ok(trustedOf(state).includes(issuerOf(before)));
      }
    }),
  );
});

test("trust is told by the same text in any order", async () => {
  const { rotation, next } = await single();
  const both = startRotation(rotation, next, now);
  const moved = switchIssuer(both, [], now);
  assert.equal(trustId(trustedOf(both)), trustId(trustedOf(moved)));
  assert.notEqual(trustId(trustedOf(both)), trustId(trustedOf(rotation)));
});

test("three machines live through a rotation: every pair can speak at each moment, and no connection ends", async () => {
  let { rotation, next } = await single();
  const machines = await Promise.all(
    [1, 2, 3].map(async (number) => {
      const own = await credentialsFor(rotation.current, sampleMachine(number));
      const trust = await trustOf(rotation);
      return { number, own, trust, server: await startServer(own, trust, "named") };
    }),
  );
  const [first, second] = machines;
  assert.ok(first && second);
  const standing = await call(first.server.port, second.own, second.trust);

  const everybodySpeaks = async (): Promise<void> => {
    for (const from of machines) {
      for (const to of machines) {
        const expected = { machine: machineId(to.number) };
        const answer = await askOnce(to.server.port, from.own, from.trust, expected);
        assert.equal(answer, `machine ${machineId(from.number)} (control)`);
      }
    }
    assert.equal(await standing.ask(), `machine ${machineId(2)} (control)`);
  };
  /** Does `work` for one machine after the other, and looks around after each. */
  const oneByOne = async (
    work: (machine: (typeof machines)[number]) => Promise<{ own?: Credentials; trust?: ServerTrust }>,
  ): Promise<void> => {
    for (const machine of machines) {
      Object.assign(machine, await work(machine));
      machine.server.change(machine.own, machine.trust);
      await everybodySpeaks();
    }
  };

  try {
    await everybodySpeaks();
    rotation = startRotation(rotation, next, now);
    await oneByOne(async () => ({ trust: await trustOf(rotation) }));
    rotation = switchIssuer(rotation, [], now);
    await oneByOne(async ({ number, own }) => {
      const certificate = readCertificate(own.certificate, "it");
      const issuer = {
        certificate: new X509Certificate(issuerOf(rotation).certificate),
        since: rotation.since,
      };
      assert.equal(planRenewal(certificate, { now, random: 0, issuer }).do, "renew");
      return { own: await credentialsFor(issuerOf(rotation), sampleMachine(number)) };
    });
    rotation = finishRotation(rotation, [], now);
    await oneByOne(async () => ({ trust: await trustOf(rotation) }));
    const root = new X509Certificate(next.certificate);
    for (const { own } of machines) assert.ok(isIssuedBy(new X509Certificate(own.certificate), root));
  } finally {
    standing.socket.destroy();
    await Promise.all(machines.map(({ server }) => server.close()));
  }
});
