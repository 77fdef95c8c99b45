import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { getMachine, killMachine, listMachines, removeMachine } from "./machine.ts";
import { machineFiles, machineNames } from "./record.ts";

test("a machine whose record is damaged does not stop the others, and can be removed", async (context) => {
  const lab = await mkdtemp(join(tmpdir(), "atoll-lab-"));
  context.after(() => rm(lab, { recursive: true }));
  const files = machineFiles(lab, "tiny");
  await mkdir(files.directory);
  await writeFile(files.record, "{}");
  assert.deepEqual(await listMachines(lab), []);
  await assert.rejects(getMachine(lab, "tiny"), (error) => hasCode(error, "LAB_RECORD_INVALID"));
  assert.equal(await killMachine({ lab }, "tiny"), false);
  await removeMachine({ lab }, "tiny");
  assert.deepEqual(await machineNames(lab), []);
});

test("a machine that is not there cannot be removed", async (context) => {
  const lab = await mkdtemp(join(tmpdir(), "atoll-lab-"));
  context.after(() => rm(lab, { recursive: true }));
  await assert.rejects(removeMachine({ lab }, "box"), (error) => hasCode(error, "LAB_NO_MACHINE"));
});
