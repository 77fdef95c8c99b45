import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { silent } from "../progress.ts";
import { installBySudo, installPrerequisites } from "./prerequisites.ts";

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

test("sudo has the terminal for itself: what is done is said once, as a line, and no step is drawn", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "atoll-sudo-"));
  context.after(() => rm(folder, { recursive: true }));
  const calls = join(folder, "calls");
  await writeFile(join(folder, "sudo"), `#!/bin/sh\necho "$*" >> ${calls}\n`, { mode: 0o755 });
  const said: string[] = [];
  await installBySudo(["mmdebstrap"], {
    say: (line) => said.push(line),
    signal: new AbortController().signal,
    env: { PATH: `${folder}:/usr/bin:/bin` },
  });
  assert.deepEqual(said, ["installing mmdebstrap through sudo"]);
  assert.match(await readFile(calls, "utf8"), /apt-get update.*\n.*apt-get install .* mmdebstrap\n/);
});
