import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { identify, isRunning, parseStat, signalProcess, waitForEnd } from "./running.ts";

test("reads state and start time whatever the program calls itself", () => {
  const rest = "S 1 77 77 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 123456 1000 20";
  assert.deepEqual(parseStat(`77 (sh) ${rest}`), { state: "S", startTicks: 123456 });
  assert.deepEqual(parseStat(`77 (a) R (b c) ${rest}`), { state: "S", startTicks: 123456 });
});

test("a process is known until it ends, and one with its pid but another start is a stranger", async () => {
  const child = spawn("sleep", ["60"]);
  const identity = await identify(child.pid ?? 0);
  assert.ok(identity);
  assert.equal(await isRunning(identity), true);
  const stranger = { ...identity, startTicks: identity.startTicks - 1 };
  assert.equal(await isRunning(stranger), false);
  assert.equal(await signalProcess(stranger, "SIGKILL"), false);
  assert.equal(await waitForEnd(identity, 1), false);
  assert.equal(await signalProcess(identity, "SIGKILL"), true);
  assert.equal(await waitForEnd(identity, 10_000), true);
  assert.equal(await identify(identity.pid), null);
});
