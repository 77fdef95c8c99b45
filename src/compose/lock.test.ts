import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { projectRoot } from "../paths.ts";
import {
  formatLock,
  type Lock,
  type LockedPackage,
  lockHash,
  lockPath,
  lockRequest,
  parseLock,
  readLock,
} from "./lock.ts";
import { chooseLock, type LockState } from "./settle-lock.ts";
import { readTreefile } from "./treefile.ts";

const word = fc.string({ unit: fc.constantFrom(..."abz09+.-~:".split("")), minLength: 1, maxLength: 12 });
const locked: fc.Arbitrary<LockedPackage> = fc.record(
  {
    ...{
      name: word,
      version: word,
      arch: fc.constantFrom("amd64", "all"),
      source: word,
      sourceVersion: word,
    },
    archive: fc.constantFrom("main" as const, "security" as const),
    path: fc.constant("pool/main/b/bash/bash_5.2_amd64.deb"),
    size: fc.integer({ min: 1, max: 1e9 }),
    sha256: fc.string({
      unit: fc.constantFrom(..."0123456789abcdef".split("")),
      minLength: 64,
      maxLength: 64,
    }),
  },
  { noNullPrototype: true },
);
const lock: fc.Arbitrary<Lock> = fc.record(
  {
    ...{ format: fc.constant(1 as const), suite: word, request: word, base: fc.option(word) },
    resolved: fc.constant("2026-11-22T15:43:52Z"),
    packages: fc.array(locked, { maxLength: 5 }),
    users: fc.constantFrom([], ["a:x:1:1::/:/bin/sh"]),
    groups: fc.constantFrom([], ["a:x:1:"]),
  },
  { noNullPrototype: true },
);

test("parseLock reads what formatLock writes", () => {
  fc.assert(fc.property(lock, (value) => assert.deepEqual(parseLock("l", formatLock(value)), value)));
});

test("formatLock writes one package a line, so that version control shows what moved", () => {
  fc.assert(
    fc.property(lock, (value) => {
      const lines = formatLock(value).split("\n");
      assert.equal(lines.filter((line) => line.startsWith('    {"name"')).length, value.packages.length);
    }),
  );
});

test("lockHash names what is pinned, not when it was resolved or for whom", () => {
  fc.assert(
    fc.property(lock, (value) => {
      const later = { ...value, resolved: "2027-01-01T00:00:00Z", request: "other", base: null };
      assert.equal(lockHash(later), lockHash(value));
      assert.notEqual(lockHash({ ...value, suite: `${value.suite}x` }), lockHash(value));
    }),
  );
});

test("parseLock refuses what is no lock, and names the file", () => {
  for (const text of ["", "[]", '{"format": 2}', "suite: trixie"]) {
    assert.throws(() => parseLock("os/x.lock", text), { code: "LOCK_INVALID", message: /^os\/x\.lock/ });
  }
});

test("lockPath puts the lock beside the treefile", () => {
  assert.equal(lockPath("/a/b.yaml"), "/a/b.lock");
  assert.equal(lockPath("b.yml"), "b.lock");
});

describe("chooseLock", async () => {
  const treefile = await readTreefile(join(projectRoot, "os/atoll.yaml"));
  const value = await readLock(lockPath(treefile.path));
  assert.ok(value);
  const state = (change: Partial<Lock> = {}): LockState => {
    return { file: "x.lock", fresh: false, value: { ...value, request: lockRequest(treefile), ...change } };
  };

  test("our own lock is the one that os/atoll.yaml asks for", () => {
    assert.equal(value.request, lockRequest(treefile), "run `atoll compose --update-lock`");
  });

  test("a lock that fits is kept", () => {
    const own = state();
    assert.equal(chooseLock(treefile, own, null, null, false).keep, own);
  });

  test("one that is to be renewed holds nothing but what lies below it", () => {
    const base = state();
    assert.deepEqual(chooseLock(treefile, state(), base, null, true), {
      ...{ keep: null, hold: base, note: null },
      before: state(),
    });
    assert.equal(chooseLock(treefile, state(), null, null, true).hold, null);
  });

  test("other packages asked for: the versions of those still asked for are held", () => {
    const own = state({ request: "other" });
    const choice = chooseLock(treefile, own, null, null, false);
    assert.equal(choice.keep, null);
    assert.equal(choice.hold, own);
  });

  test("another lock below: its versions win over our own", () => {
    const base = state();
    const choice = chooseLock(treefile, state({ base: "old" }), base, null, false);
    assert.equal(choice.keep, null);
    assert.equal(choice.hold, base);
    assert.match(choice.note ?? "", /renewed/);
    const fits = state({ base: lockHash(base.value) });
    assert.equal(chooseLock(treefile, fits, base, null, false).keep, fits);
  });

  test("the very packages of a treefile below: its lock is shared", () => {
    const shared = state();
    assert.equal(chooseLock(treefile, null, shared, shared, true).keep, shared);
  });
});
