import { join } from "node:path";
import { projectRoot } from "../src/paths.ts";
import { type RunResult, run } from "../src/process.ts";

/** Runs the `atoll` command as a user does, against a lab machine. Every exit code is an answer. */
export function atoll(host: string, ...words: string[]): Promise<RunResult> {
  return run([process.execPath, join(projectRoot, "dist", "atoll.mjs"), "--host", host, ...words], {
    step: `running atoll ${words.join(" ")}`,
    accept: Array.from({ length: 256 }, (_, code) => code),
    env: { NO_COLOR: "1" },
  });
}
