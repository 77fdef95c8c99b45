import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { exitCodes } from "../errors.ts";

/** A command that works until it is interrupted, and then tidies up until its standard input ends. */
const program = `
import { once } from "node:events";
import { Command } from "commander";
import { runCli } from ${JSON.stringify(join(import.meta.dirname, "cli.ts"))};
import { AtollError } from ${JSON.stringify(join(import.meta.dirname, "..", "errors.ts"))};
await runCli(["work"], {
  version: "1", summary: "a test", transport: () => ({ remote: false }),
  commands: (program, { signal, terminal }) => {
    program.command("work").action(async () => {
      const busy = setInterval(() => {}, 1000);
      terminal.out("at work");
      await once(signal, "abort");
      await once(process.stdin.resume(), "end");
      terminal.out("tidied up");
      clearInterval(busy);
      throw new AtollError("INTERRUPTED", { step: "working" });
    });
  },
});`;

interface Running {
  readonly child: ChildProcess;
  /** Resolves when the process has said `words`. */
  readonly said: (words: string) => Promise<void>;
  /** Lets it finish tidying up. */
  readonly finish: () => void;
  readonly ended: Promise<{ code: number | null; output: string }>;
}

async function start(context: TestContext): Promise<Running> {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: join(import.meta.dirname, "..", ".."),
    stdio: ["pipe", "pipe", "pipe"],
  });
  context.after(() => child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      child.emit("said");
    });
  }
  const ended = once(child, "close").then(() => ({ code: child.exitCode, output }));
  const said = async (words: string): Promise<void> => {
    while (!output.includes(words)) {
      assert.equal(child.exitCode, null, output);
      await Promise.race([once(child, "said"), ended]);
    }
  };
  await said("at work");
  return { child, said, finish: () => child.stdin.end(), ended };
}

/** Longer than what counts as the same press. */
const anotherPress = (): Promise<void> => sleep(400);

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  test(`${signal} is said at once, and the work tidies up before the process ends`, async (context) => {
    const { child, said, finish, ended } = await start(context);
    child.kill(signal);
    await said("interrupted; stopping what was started");
    finish();
    const { code, output } = await ended;
    assert.equal(code, exitCodes.interrupted, output);
    assert.match(output, /tidied up\n[\s\S]*INTERRUPTED/);
  });
}

test("a second Ctrl-C, and a terminal that is closed then, do not cut the tidying short", async (context) => {
  const { child, said, finish, ended } = await start(context);
  child.kill("SIGINT");
  await said("interrupted");
  await anotherPress();
  child.kill("SIGINT");
  await said("a third Ctrl-C leaves the rest running");
  await anotherPress();
  child.kill("SIGHUP");
  // The one that reads is gone with the terminal.
  child.stderr?.destroy();
  await anotherPress();
  finish();
  const { code, output } = await ended;
  assert.equal(code, exitCodes.interrupted, output);
  assert.match(output, /tidied up/);
});

test("the third Ctrl-C ends the process on the spot", async (context) => {
  const { child, said, ended } = await start(context);
  child.kill("SIGINT");
  await said("interrupted");
  await anotherPress();
  child.kill("SIGINT");
  await said("a third Ctrl-C");
  await anotherPress();
  child.kill("SIGINT");
  const { code, output } = await ended;
  assert.equal(code, exitCodes.interrupted, output);
  assert.doesNotMatch(output, /tidied up/);
});
