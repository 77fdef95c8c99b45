import assert from "node:assert/strict";
import { test } from "node:test";
import { argumentsHash, bootIdOf, ownedArguments, parseBootRecord, parseTreeId } from "./boot-id.ts";

test("the hash is over the owner's arguments, joined by single spaces", () => {
  const options =
    "root=LABEL=atoll-root  rw panic=5 console=tty0 console=ttyS0,115200 ostree=/ostree/boot.1/atoll/c125/0";
  const owned = ownedArguments(options);
  assert.deepEqual(owned, ["root=LABEL=atoll-root", "rw", "panic=5", "console=tty0", "console=ttyS0,115200"]);
  // As printf %s 'root=… ttyS0,115200' | sha256sum | cut -c1-12 on a booted machine, and as its GRUB worked it out.
  assert.equal(argumentsHash(owned), "8cb9f3094b0f");
  assert.equal(bootIdOf("5717e7c840171019", owned), "5717e7c840171019-8cb9f3094b0f");
});

test("the tree id is read from the one line that GRUB reads", () => {
  assert.equal(parseTreeId('set atoll_tree="0123456789abcdef"\n'), "0123456789abcdef");
  assert.equal(parseTreeId("set atoll_tree=0123456789abcdef"), null);
  assert.equal(parseTreeId(""), null);
});

test("what GRUB appended tells how this boot came about", () => {
  const base = "BOOT_IMAGE=/x rw ostree=/ostree/boot.1/atoll/c1/0 atoll.id=a-b";
  assert.deepEqual(parseBootRecord(`${base} atoll.boot=good\n`), {
    kind: "good",
    bootId: "a-b",
    attempt: null,
    failedBootId: null,
  });
  assert.equal(parseBootRecord(`${base} atoll.boot=trial-2`).attempt, 2);
  const fallback = parseBootRecord(`${base} atoll.boot=fallback atoll.failed=c-d`);
  assert.deepEqual([fallback.kind, fallback.failedBootId], ["fallback", "c-d"]);
});

test("without GRUB's words, or with words that it does not write, nothing is counted", () => {
  for (const line of [
    "rw quiet",
    "atoll.boot=good",
    "atoll.id=a-b atoll.boot=trial-4",
    "atoll.id=a-b atoll.boot=",
  ]) {
    assert.equal(parseBootRecord(line).kind, "unmanaged", line);
  }
});

test("the last word of a key is GRUB's", () => {
  assert.equal(parseBootRecord("atoll.boot=good atoll.id=x-y atoll.id=a-b atoll.boot=trial-1").kind, "trial");
  assert.equal(parseBootRecord("atoll.boot=good atoll.id=x-y atoll.id=a-b atoll.boot=trial-1").bootId, "a-b");
});
