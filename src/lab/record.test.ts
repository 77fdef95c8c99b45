import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { checkName, type MachineRecord, machineNames, readRecord, writeRecord } from "./record.ts";
import { machineRecord, parseAs } from "./schemas.ts";

const record: MachineRecord = {
  name: "atoll-1",
  createdAt: "2026-11-22T15:00:00.000Z",
  id: "c259ea42-3f6b-4a9a-bd89-ff9e18d5c3a2",
  macAddress: "52:54:00:00:00:01",
  firmware: "uefi",
  cpus: 2,
  memoryMiB: 1024,
  diskFormat: "qcow2",
  image: "20261122.1",
  sshPort: 40022,
  forwards: [{ host: 8080, guest: 8080 }],
  provisioned: false,
  process: null,
};

async function inLab(work: (lab: string) => Promise<void>): Promise<void> {
  const lab = await mkdtemp(join(tmpdir(), "atoll-lab-"));
  try {
    await work(lab);
  } finally {
    await rm(lab, { recursive: true });
  }
}

test("a record is read as it was written, and machines are counted as people count", async () => {
  await inLab(async (lab) => {
    for (const name of ["atoll-10", "atoll-2", "box"]) await writeRecord(lab, { ...record, name });
    // A creation that was cut off, and a folder of the lab's own.
    await mkdir(join(lab, "half"));
    await mkdir(join(lab, ".origin"));
    assert.deepEqual(await machineNames(lab), ["atoll-2", "atoll-10", "box"]);
    assert.deepEqual(await readRecord(lab, "box"), { ...record, name: "box" });
  });
});

test("a lab that is not there has no machines, and says so when asked for one", async () => {
  assert.deepEqual(await machineNames("/nonexistent/lab"), []);
  await assert.rejects(readRecord("/nonexistent/lab", "atoll-1"), (error) =>
    hasCode(error, "LAB_NO_MACHINE"),
  );
});

test("a damaged record is refused with the place of the damage", () => {
  const damaged = JSON.stringify({ ...record, sshPort: "40022" });
  assert.throws(
    () => parseAs(machineRecord, damaged, "machine.json"),
    (error) => hasCode(error, "LAB_RECORD_INVALID") && /sshPort/.test(error.message),
  );
  assert.throws(
    () => parseAs(machineRecord, "{", "machine.json"),
    (error) => hasCode(error, "LAB_RECORD_INVALID"),
  );
});

test("a record that could not be read again is not written", async () => {
  await inLab(async (lab) => {
    await assert.rejects(writeRecord(lab, { ...record, memoryMiB: 32 }), (error) =>
      hasCode(error, "LAB_RECORD_INVALID"),
    );
    assert.deepEqual(await machineNames(lab), []);
  });
});

test("names must be host names, and the lab's path short enough for sockets", () => {
  for (const name of ["a", "atoll-1", "a".repeat(32)]) checkName("/lab", name);
  for (const name of ["", "-a", "a-", "A", "a.b", "../x", "a".repeat(33)]) {
    assert.throws(
      () => checkName("/lab", name),
      (error) => hasCode(error, "LAB_NAME_INVALID"),
    );
  }
  assert.throws(
    () => checkName(`/${"long/".repeat(20)}`, "atoll-1"),
    (error) => hasCode(error, "LAB_PATH_TOO_LONG"),
  );
});
