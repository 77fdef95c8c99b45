import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { interruptSignal } from "../src/cli/interrupt.ts";
import { exitCodes } from "../src/errors.ts";
import { projectRoot } from "../src/paths.ts";
import { runBench } from "./bench.ts";
import { buildAll } from "./build.ts";
import { writeCodec } from "./codec.ts";
import { writeReferences } from "./docs.ts";
import { runTests, type TestKind } from "./tests.ts";
import { renewToolboxLock } from "./toolbox-lock.ts";

/** What `scripts/run TASK` and the npm scripts can do. Each gives the exit code of the process. */
const tasks: Readonly<Record<string, (words: readonly string[]) => Promise<number>>> = {
  start: (words) => runAtoll(["lab", "up", ...words]),
  build: async () => {
    await buildAll();
    return exitCodes.done;
  },
  docs: async () => {
    writeReferences();
    return exitCodes.done;
  },
  codec: async () => {
    await writeCodec();
    return exitCodes.done;
  },
  check: (words) => runTestTask("check", words),
  unit: (words) => runTestTask("unit", words),
  test: (words) => runTestTask("test", words),
  machines: (words) => runTestTask("machines", words),
  soak: (words) => runTestTask("soak", words),
  bench: (words) => runBench(words, interrupted()),
  "toolbox-lock": async () => {
    await renewToolboxLock(interrupted());
    return exitCodes.done;
  },
};

function runTestTask(kind: TestKind, files: readonly string[]): Promise<number> {
  return runTests(kind, { files, signal: interrupted() });
}

/** Fires at Ctrl-C: the work that was given it tidies up and ends. */
function interrupted(): AbortSignal {
  return interruptSignal((line) => console.error(line));
}

/** Builds the bundles and runs the `atoll` command from them, as a user's `./atoll` does. */
async function runAtoll(words: readonly string[]): Promise<number> {
  await buildAll();
  // The command tidies up; this process only passes the wish on and waits.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => child.kill(signal));
  }
  const child = spawn(process.execPath, [join(projectRoot, "dist", "atoll.mjs"), ...words], {
    stdio: "inherit",
  });
  const [code]: (number | null)[] = await once(child, "exit");
  return code ?? exitCodes.failed;
}

const [name = "", ...words] = process.argv.slice(2);
const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
if (task) {
  process.exitCode = await task(words);
} else {
  console.error(`scripts/run: no task "${name}"; there are ${Object.keys(tasks).join(", ")}`);
  process.exitCode = exitCodes.usage;
}
