import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { silent } from "../progress.ts";
import { installPrerequisites } from "./prerequisites.ts";

test("what is missing is said with its reason, and a system without apt-get is told what to install", async () => {
  const said: string[] = [];
  await assert.rejects(
    installPrerequisites({
      cache: "/nonexistent",
      progress: silent,
      signal: new AbortController().signal,
      say: (line) => said.push(line),
      env: { PATH: "/nonexistent" },
    }),
    (error) => hasCode(error, "PREREQUISITES_MISSING") && /mmdebstrap.*openssh-client/.test(error.next),
  );
  assert.ok(said.includes("this computer lacks mmdebstrap, which makes Debian trees"), said.join("\n"));
});
