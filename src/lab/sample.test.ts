import assert from "node:assert/strict";
import { test } from "node:test";
import { samplePort, sampleQuadlet } from "./sample.ts";

test("the Quadlet file pulls from the lab's registry and publishes the port of the page", async () => {
  const text = await sampleQuadlet("10.0.2.2:5000");
  assert.match(text, /^Image=10\.0\.2\.2:5000\/sample-web:latest$/m);
  assert.match(text, new RegExp(`^PublishPort=${samplePort}:${samplePort}$`, "m"));
  assert.doesNotMatch(text, /@/);
});
