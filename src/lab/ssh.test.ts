import assert from "node:assert/strict";
import { test } from "node:test";
import type { MachineRecord } from "./record.ts";
import { labTarget, sshCommand } from "./ssh.ts";

const record: MachineRecord = {
  ...{ name: "atoll-1", createdAt: "2026-11-22T15:00:00.000Z", id: "x", macAddress: "52:54:00:00:00:01" },
  ...{ firmware: "bios", cpus: 1, memoryMiB: 1024, diskFormat: "qcow2", image: "1" },
  ...{ sshPort: 40022, forwards: [], provisioned: true, process: null },
};

test("a machine of the lab is reached with the lab's key and its own host keys, by nothing of the user's", () => {
  const command = sshCommand(labTarget("/lab", record), "-o", "LogLevel=ERROR");
  assert.equal(command.at(-1), "root@127.0.0.1");
  for (const option of [
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "UserKnownHostsFile=/lab/atoll-1/known_hosts",
    "LogLevel=ERROR",
  ]) {
    assert.equal(command[command.indexOf(option) - 1], "-o", option);
  }
  assert.equal(command[command.indexOf("-F") + 1], "none");
  assert.equal(command[command.indexOf("-i") + 1], "/lab/key");
  assert.equal(command[command.indexOf("-p") + 1], "40022");
});

test("any other host is reached as the user's own configuration says", () => {
  const target = {
    ...{ name: "box", user: null, address: "box", port: null, identity: null, knownHosts: null },
    ...{ sshSocket: "/s", apiSocket: "/a" },
  };
  assert.deepEqual(sshCommand(target), ["ssh", "box"]);
  assert.deepEqual(sshCommand({ ...target, user: "ann", port: 2222 }), ["ssh", "-p", "2222", "ann@box"]);
});
