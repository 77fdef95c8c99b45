import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { exitCodes } from "../src/errors.ts";
import { killMachine, listMachines } from "../src/lab/machine.ts";
import { labDirectory, projectRoot, stateDirectory } from "../src/paths.ts";
import { type RunResult, run } from "../src/process.ts";

/** A stranger's first ten minutes: the main job, then the first change. */
test("start", async (context) => {
  // A home of its own: the lab, the keys and the repository are a new user's.
  const state = join(stateDirectory(), "start");
  await mkdir(state, { recursive: true });
  const env = { ATOLL_STATE: state, NO_COLOR: "1" };
  const lab = labDirectory(env);
  context.after(async () => {
    await atoll(env, "lab", "stop");
    for (const { record } of await listMachines(lab)) await killMachine({ lab }, record.name);
  });

  await context.test("npm start ends with a host that is well and a page that answers", async () => {
    const { code, stdout, stderr } = await start(env);
    assert.equal(code, 0, stderr);
    const address = /http:\/\/127\.0\.0\.1:\d+\S*/.exec(stdout)?.[0];
    assert.ok(address, stdout);
    assert.equal((await fetch(address)).status, 200);
    assert.match(stdout, /Try next:/);
    // `compose` of what is the newest already ends with 77, and && would stop there.
    assert.doesNotMatch(stdout, /&&/);
    // Without a terminal: one plain line for each step, nothing that moves the cursor.
    assert.doesNotMatch(stdout + stderr, new RegExp(String.raw`${String.fromCharCode(27)}|\r`));
  });

  await context.test("a second run makes nothing again", async () => {
    const before = await listMachines(lab);
    const { code, stderr } = await start(env);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /committing|making the disk|starting atoll-1/);
    assert.deepEqual(await listMachines(lab), before);
  });

  await context.test("a tree of one's own is composed, and the host goes there", async () => {
    const composed = await atoll(env, "compose", join(projectRoot, "examples", "hello.yaml"));
    assert.equal(composed.code, 0, composed.stderr);
    const upgraded = await atoll(env, "upgrade", "--reboot", "--wait");
    assert.equal(upgraded.code, 0, upgraded.stdout + upgraded.stderr);
    const status: unknown = JSON.parse((await atoll(env, "status", "--json")).stdout);
    assert.match(JSON.stringify(status), /"state":"good"/);
  });

  await context.test("a run after that makes nothing again either, and takes nothing back", async () => {
    const { code, stderr } = await start(env);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /committing|making the disk|starting atoll-1/);
    const check = await atoll(env, "upgrade", "--check");
    assert.equal(check.code, exitCodes.nothingToDo, check.stdout + check.stderr);
  });

  await context.test("the lab lists it, stops it, and removes it with all that ran for it", async () => {
    assert.match((await atoll(env, "lab", "list")).stdout, /atoll-1/);
    assert.equal((await atoll(env, "lab", "stop")).code, 0);
    assert.ok((await listMachines(lab)).every(({ running }) => !running));
    assert.equal((await atoll(env, "lab", "remove", "atoll-1")).code, 0);
    assert.deepEqual(await listMachines(lab), []);
  });
});

function start(env: Readonly<Record<string, string>>): Promise<RunResult> {
  return any(env, [process.execPath, join(projectRoot, "scripts", "tasks.ts"), "start"]);
}

function atoll(env: Readonly<Record<string, string>>, ...words: string[]): Promise<RunResult> {
  return any(env, [process.execPath, join(projectRoot, "dist", "atoll.mjs"), ...words]);
}

/** Every exit code is an answer. */
function any(env: Readonly<Record<string, string>>, argv: [string, ...string[]]): Promise<RunResult> {
  const accept = Array.from({ length: 256 }, (_, code) => code);
  return run(argv, { step: `running ${argv.join(" ")}`, env, accept, cwd: projectRoot });
}
