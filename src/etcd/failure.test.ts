import assert from "node:assert/strict";
import { test } from "node:test";
import {
  blamesEndpoint,
  EtcdError,
  failureAfterSending,
  failureBeforeSending,
  mayAskAgain,
  mayPass,
} from "./failure.ts";
import { methods } from "./methods.ts";

const unavailable = { code: 14, details: "etcdserver: request timed out" };

test("a write that may have been done is not asked again, a read is", () => {
  const write = failureAfterSending(methods.txn, unavailable);
  assert.ok(write.sent && !mayAskAgain(write));
  assert.equal(new EtcdError(write).code, "ETCD_UNCERTAIN");
  const read = failureAfterSending(methods.range, unavailable);
  assert.ok(mayAskAgain(read));
  assert.equal(new EtcdError(read).code, "ETCD_UNREACHABLE");
  for (const code of [1, 2, 4, 10, 13, 14, 15, 99]) {
    assert.ok(!mayAskAgain(failureAfterSending(methods.put, { code, details: "?" })), `code ${code}`);
  }
});

test("what never left, or was turned away unread, is asked again", () => {
  assert.ok(mayAskAgain(failureBeforeSending(methods.put, "ECONNREFUSED")));
  for (const [code, details] of [
    [14, "etcdserver: no leader"],
    [9, "etcdserver: rpc not supported for learner"],
    [3, "etcdserver: revision of auth store is old"],
    [14, "etcdserver: unhealthy cluster"],
  ] as const) {
    const failure = failureAfterSending(methods.put, { code, details });
    assert.ok(!failure.sent && mayAskAgain(failure) && blamesEndpoint(failure), details);
    assert.ok(mayPass(new EtcdError(failure)));
  }
});

test("a refusal is final, says that nothing was done, and blames no endpoint", () => {
  for (const code of [3, 5, 6, 7, 8, 9, 11, 12, 16]) {
    const failure = failureAfterSending(methods.put, { code, details: "etcdserver: no" });
    assert.ok(!failure.sent && !mayAskAgain(failure) && !blamesEndpoint(failure), `code ${code}`);
    assert.equal(new EtcdError(failure).code, "ETCD_REFUSED");
    assert.ok(!mayPass(new EtcdError(failure)));
  }
});

test("a compacted revision is an error of its own; one in the future is not", () => {
  const errorOf = (details: string) =>
    new EtcdError(failureAfterSending(methods.range, { code: 11, details }));
  assert.equal(errorOf("etcdserver: mvcc: required revision has been compacted").code, "ETCD_COMPACTED");
  const future = errorOf("etcdserver: mvcc: required revision is a future revision");
  assert.equal(future.code, "ETCD_REFUSED");
  assert.equal(future.grpc, "OUT_OF_RANGE");
  assert.match(future.message, /Range: etcdserver/);
});
