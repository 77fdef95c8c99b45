import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode } from "./errors.ts";
import { lastLines, run } from "./process.ts";

test("gives output and exit code, and lines as they come", async () => {
  const lines: string[] = [];
  const result = await run(["sh", "-c", "echo one; echo two >&2; printf three; exit 3"], {
    step: "testing",
    accept: [0, 3],
    onLine: (line) => lines.push(line),
  });
  assert.equal(result.code, 3);
  assert.equal(result.stdout, "one\nthree");
  assert.deepEqual(lines.toSorted(), ["one", "three", "two"]);
});

test("a failure names the step, the command and the last lines", async () => {
  await assert.rejects(run(["sh", "-c", "echo no room >&2; exit 7"], { step: "making room" }), (error) => {
    assert.ok(hasCode(error, "COMMAND_FAILED"));
    assert.match(error.message, /^making room: .*exit code 7: no room$/);
    return true;
  });
});

test("the whole output of what failed is in a file that the error names", async (context) => {
  const logs = join(await mkdtemp(join(tmpdir(), "atoll-logs-")), "logs");
  context.after(() => rm(join(logs, ".."), { recursive: true }));
  const argv = ["sh", "-c", "echo first; echo second >&2; seq 20 >&2; exit 1"] as const;
  const error = await run(argv, { step: "making: a / b", logs }).catch((thrown: unknown) => thrown);
  assert.ok(hasCode(error, "COMMAND_FAILED"));
  const [name = ""] = await readdir(logs);
  assert.match(name, /making-a-b/);
  assert.ok(error.next.endsWith(join(logs, name)), error.next);
  const log = await readFile(join(logs, name), "utf8");
  assert.match(log, /^sh -c .*\n/);
  for (const line of ["first", "second", "1", "20"]) assert.match(log, new RegExp(`^${line}$`, "m"));
});

test("a log that cannot be written hides nothing", async () => {
  await assert.rejects(
    run(["false"], { step: "failing", logs: join(import.meta.filename, "logs") }),
    (error) => hasCode(error, "COMMAND_FAILED") && /no file/.test(error.next),
  );
});

test("a missing program is its own error", async () => {
  await assert.rejects(run(["no-such-program-here"], { step: "trying", hint: "apt install it" }), (error) =>
    hasCode(error, "COMMAND_MISSING"),
  );
});

test("input reaches the command, also when it does not read it", async () => {
  assert.equal((await run(["cat"], { step: "echoing", input: "hello" })).stdout, "hello");
  await run(["true"], { step: "ignoring", input: "x".repeat(1 << 20) });
});

test("an abort ends the whole process group", async () => {
  const controller = new AbortController();
  const started = Promise.withResolvers<number>();
  const running = run(["sh", "-c", "sleep 1000 & echo $!; wait"], {
    step: "sleeping",
    signal: controller.signal,
    onLine: (line) => started.resolve(Number(line)),
  });
  const grandchild = await started.promise;
  controller.abort();
  await assert.rejects(running, (error) => hasCode(error, "INTERRUPTED"));
  assert.equal(isRunning(grandchild), false);
});

/** False once the process is gone, or dead and waiting for its parent to notice. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("lastLines keeps the end and drops blank lines", () => {
  assert.equal(lastLines("a\n\nb\nc\n", 2), "b | c");
});
