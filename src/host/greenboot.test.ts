import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { run } from "../process.ts";
import { systemClock } from "./clock.ts";
import { type GreenbootOptions, parseDisabled, runScripts } from "./greenboot.ts";
import type { OutsideResult } from "./systemd.ts";

const signal = new AbortController().signal;

/** As systemd would, without systemd. */
async function runHere(argv: readonly string[], timeLimit: number): Promise<OutsideResult> {
  const [program = "", ...rest] = argv;
  const accept = Array.from({ length: 256 }, (_, code) => code);
  try {
    const options = { step: program, accept, signal: AbortSignal.timeout(timeLimit) };
    const { code, stdout, stderr } = await run([program, ...rest], options);
    return { code, timedOut: false, output: stdout + stderr };
  } catch (error) {
    if (hasCode(error, "INTERRUPTED")) return { code: null, timedOut: true, output: "" };
    throw error;
  }
}

async function withScripts(
  scripts: Readonly<Record<string, string>>,
  check: (options: GreenbootOptions) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "atoll-greenboot-"));
  try {
    for (const [name, text] of Object.entries(scripts)) {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
      if (!name.endsWith(".sh") && !name.endsWith(".txt")) await chmod(path, 0o755);
    }
    const roots = [join(folder, "lib"), join(folder, "etc")];
    const configuration = join(folder, "etc/greenboot.conf");
    await check({ roots, configuration, timeLimit: 5000, run: runHere, clock: systemClock() });
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("scripts run in order, the tree's before the owner's; *.sh need not be executable, other files must be", () =>
  withScripts(
    {
      "etc/check/required.d/01.sh": "exit 0",
      "lib/check/required.d/20.sh": "exit 0",
      "lib/check/required.d/10-binary": "#!/bin/sh\nexit 0\n",
      "lib/check/required.d/README.txt": "no script",
    },
    async (options) => {
      const results = await runScripts("check/required.d", options, signal);
      assert.deepEqual(
        results.map(({ name, outcome }) => `${name} ${outcome}`),
        ["required.d/10-binary passed", "required.d/20.sh passed", "required.d/01.sh passed"],
      );
    },
  ));

test("the first required failure ends it; wanted ones all run", () =>
  withScripts(
    {
      "lib/check/required.d/1.sh": "echo because; exit 7",
      "lib/check/required.d/2.sh": "exit 0",
      "lib/check/wanted.d/1.sh": "exit 1",
      "lib/check/wanted.d/2.sh": "exit 0",
    },
    async (options) => {
      const [failed, ...none] = await runScripts("check/required.d", options, signal);
      assert.equal(failed?.summary, "required.d/1.sh ended with exit code 7");
      assert.deepEqual(failed?.detail, ["because"]);
      assert.equal(failed?.required, true);
      assert.deepEqual(none, []);
      const wanted = await runScripts("check/wanted.d", options, signal);
      assert.deepEqual(
        wanted.map(({ outcome, required }) => [outcome, required]),
        [
          ["failed", false],
          ["passed", false],
        ],
      );
    },
  ));

test("a script that takes too long has failed", () =>
  withScripts({ "etc/check/required.d/slow.sh": "exec sleep 30" }, async (options) => {
    const [slow] = await runScripts("check/required.d", { ...options, timeLimit: 300 }, signal);
    assert.match(slow?.summary ?? "", /slow\.sh took longer than/);
  }));

test("what greenboot.conf switches off is skipped, and said so", () =>
  withScripts(
    { "etc/check/required.d/a.sh": "exit 1", "etc/greenboot.conf": 'DISABLED_HEALTHCHECKS=("a.sh" b.sh)\n' },
    async (options) => {
      const [skipped] = await runScripts("check/required.d", options, signal);
      assert.equal(skipped?.outcome, "skipped");
    },
  ));

test("the list of switched-off checks is a shell array", () => {
  assert.deepEqual(
    parseDisabled(`GREENBOOT_MAX_BOOT_ATTEMPTS=3\nDISABLED_HEALTHCHECKS=("01 a.sh" 'b' c.sh)`),
    ["01 a.sh", "b", "c.sh"],
  );
  assert.deepEqual(parseDisabled('# DISABLED_HEALTHCHECKS=("a")'), []);
});
