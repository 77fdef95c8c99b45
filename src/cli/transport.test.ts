import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { parseAddress } from "./transport.ts";

test("addresses as people write them", () => {
  assert.deepEqual(parseAddress("box"), { user: null, address: "box", port: null });
  assert.deepEqual(parseAddress("root@192.0.2.7"), { user: "root", address: "192.0.2.7", port: null });
  assert.deepEqual(parseAddress("a.b@host.example:2222"), {
    user: "a.b",
    address: "host.example",
    port: 2222,
  });
  assert.deepEqual(parseAddress("root@[2001:db8::7]:22"), { user: "root", address: "2001:db8::7", port: 22 });
  assert.deepEqual(parseAddress("2001:db8::7"), { user: null, address: "2001:db8::7", port: null });
});

test("what ssh could take for an option, or nothing could take for an address, is refused", () => {
  for (const text of [
    "",
    "-oProxyCommand=x",
    "root@-oProxyCommand=x",
    "a b",
    "box:0",
    "box:70000",
    "a@b@c",
    "box;ls",
  ]) {
    assert.throws(
      () => parseAddress(text),
      (error) => hasCode(error, "USAGE"),
      text,
    );
  }
});
