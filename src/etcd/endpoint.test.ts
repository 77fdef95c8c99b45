import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { parseEndpoint } from "./endpoint.ts";

test("endpoints are read as etcd's tools write them", () => {
  const targets = {
    "https://10.0.0.1:2379": "ipv4:10.0.0.1:2379",
    "https://10.0.0.1": "ipv4:10.0.0.1:2379",
    "https://10.0.0.1:443/": "ipv4:10.0.0.1:443",
    "http://10.0.0.1:80": "ipv4:10.0.0.1:80",
    "http://[fd00::1]:4001": "ipv6:[fd00::1]:4001",
    "https://m1.fleet:2379/": "dns:m1.fleet:2379",
    "unix:///run/etcd.sock": "unix:/run/etcd.sock",
  };
  for (const [endpoint, target] of Object.entries(targets)) {
    const parsed = parseEndpoint(endpoint);
    assert.equal(parsed.target, target);
    assert.equal(parsed.secure, endpoint.startsWith("https"));
  }
  assert.equal(parseEndpoint("https://[fd00::1]:4001").address, "fd00::1");
  assert.equal(parseEndpoint("https://m1.fleet").address, null);
});

test("what is none is refused by what is wrong with it", () => {
  for (const endpoint of [
    "",
    "10.0.0.1:2379",
    "ftp://h:1",
    "http://h:1/path",
    "http://u@h:1",
    "unix://run/x",
    "http://h:70000",
  ]) {
    assert.throws(
      () => parseEndpoint(endpoint),
      (error) => hasCode(error, "ETCD_ENDPOINT_INVALID"),
      endpoint,
    );
  }
});
