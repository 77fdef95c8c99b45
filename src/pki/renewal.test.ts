import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { type CertificateFacts, readCertificate } from "./certificate.ts";
import { planRenewal, spreadOf } from "./renewal.ts";
import { credentialsFor, sampleAuthority, sampleMachine } from "./samples.ts";

const issued = new Date("2030-01-01T00:00:00Z");
const hour = 3600 * 1000;
const life = 90 * hour;
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

function after(ms: number): Date {
  return new Date(issued.getTime() + ms);
}

async function sample(): Promise<{
  certificate: CertificateFacts;
  root: X509Certificate;
  other: X509Certificate;
}> {
  const [authority, other] = await Promise.all([sampleAuthority(), sampleAuthority()]);
  const options = { now: issued, life: life / 1000 };
  const { certificate } = await credentialsFor(authority, sampleMachine(1), options);
  return {
    certificate: readCertificate(certificate, "it"),
    root: new X509Certificate(authority.certificate),
    other: new X509Certificate(other.certificate),
  };
}

test("renewal begins between six tenths and two thirds of a life, as the random number says", async () => {
  const { certificate } = await sample();
  assert.deepEqual(planRenewal(certificate, { now: issued, random: 0 }), {
    do: "wait",
    until: after(54 * hour),
  });
  fc.assert(
    fc.property(randoms, (random) => {
      const plan = planRenewal(certificate, { now: issued, random });
      assert.equal(plan.do, "wait");
      if (plan.do !== "wait") return;
      assert.ok(plan.until >= after(54 * hour) && plan.until <= after(60 * hour));
      assert.equal(planRenewal(certificate, { now: plan.until, random }).do, "renew");
      const before = new Date(plan.until.getTime() - 1);
      assert.deepEqual(planRenewal(certificate, { now: before, random }), plan);
    }),
  );
});

test("the plan only moves on as time does: wait, renew, expired", async () => {
  const { certificate, root, other } = await sample();
  const order = ["wait", "renew", "expired"];
  const times = fc.integer({ min: -hour, max: 100 * hour });
  fc.assert(
    fc.property(randoms, times, times, fc.boolean(), (random, a, b, moved) => {
      const issuer = { certificate: moved ? other : root, since: after(10 * hour) };
      const [early, late] = [a, b].toSorted((x, y) => x - y).map(after);
      assert.ok(early && late);
      const [first, second] = [early, late].map(
        (now) => planRenewal(certificate, { now, random, issuer }).do,
      );
      assert.ok(order.indexOf(first ?? "") <= order.indexOf(second ?? ""), `${first} then ${second}`);
    }),
  );
});

test("an ended certificate says since when; one of a clock behind waits", async () => {
  const { certificate } = await sample();
  assert.deepEqual(planRenewal(certificate, { now: after(91 * hour), random: 0.5 }), {
    do: "expired",
    since: after(life),
  });
  assert.equal(planRenewal(certificate, { now: after(-1000 * hour), random: 0.5 }).do, "wait");
});

test("a short life is not eaten up by dating back", async () => {
  const authority = await sampleAuthority();
  const { certificate } = await credentialsFor(authority, sampleMachine(1), { now: issued, life: 60 });
  const plan = planRenewal(readCertificate(certificate, "it"), { now: issued, random: 0 });
  assert.deepEqual(plan, { do: "wait", until: after(36_000) });
});

test("a certificate of an authority that issues no more is replaced within the hour, or earlier if it was due", async () => {
  const { certificate, root, other } = await sample();
  const since = after(10 * hour);
  const plan = (now: Date, random: number, issuer: X509Certificate, from = since): unknown =>
    planRenewal(certificate, { now, random, issuer: { certificate: issuer, since: from } });
  assert.deepEqual(plan(since, 0.5, root), { do: "wait", until: after(57 * hour) });
  assert.deepEqual(plan(since, 0.5, other), { do: "wait", until: after(10.5 * hour) });
  assert.deepEqual(plan(since, 0, other), { do: "renew", because: "its authority is being replaced" });
  assert.deepEqual(plan(after(11 * hour), 0.9, other), {
    do: "renew",
    because: "its authority is being replaced",
  });
  assert.deepEqual(plan(after(50 * hour), 0, other, after(80 * hour)), {
    do: "wait",
    until: after(54 * hour),
  });
});

test("the spread of a certificate is the same at each look, and differs among certificates", async () => {
  const [one, two] = await Promise.all([sample(), sample()]);
  assert.equal(spreadOf(one.certificate), spreadOf(one.certificate));
  assert.notEqual(spreadOf(one.certificate), spreadOf(two.certificate));
  assert.equal(spreadOf({ fingerprint: "f".repeat(64) }) < 1, true);
  assert.equal(spreadOf({ fingerprint: "0".repeat(64) }), 0);
});
