import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { projectRoot } from "../paths.ts";

const program = readFileSync(join(projectRoot, "os/files/usr/lib/atoll/boot-deadline"), "utf8");

describe("boot-deadline", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "atoll-deadline-"));
    for (const name of ["proc", "run", "bin"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "proc/cmdline"), "quiet atoll.boot=trial-1\n");
    stub("systemctl", 'echo "$*" >>"$0.asked"');
    stub("journalctl", "exit 0");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function stub(name: string, script: string): void {
    writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  /** What the program asked of systemctl, `uptime` seconds after the start. */
  function at(uptime: number): string {
    writeFileSync(join(folder, "proc/uptime"), `${uptime}.25 12.00\n`);
    const here = program.replaceAll("/run/atoll/", `${folder}/run/`).replaceAll("/proc/", `${folder}/proc/`);
    const { status, stderr } = spawnSync("sh", ["-c", here], {
      encoding: "utf8",
      env: { ...process.env, PATH: `${folder}/bin:${process.env.PATH}` },
    });
    assert.equal(status, 0, stderr);
    const asked = join(folder, "bin/systemctl.asked");
    return existsSync(asked) ? readFileSync(asked, "utf8") : "";
  }

  test("reboots a boot that is past its deadline, and none that is not", () => {
    assert.equal(at(299), "");
    assert.match(at(300), /^reboot --force$/m);
  });

  test("reboots although the journal gives no answer, or systemd does not", () => {
    stub("journalctl", "exec sleep 60");
    // In place of coreutils', which would take its ten seconds.
    stub("timeout", 'shift; case $1 in journalctl) exit 124 ;; esac; exec "$@"');
    assert.match(at(300), /^reboot --force$/m);
    stub("systemctl", "exit 1");
    at(300);
    assert.equal(readFileSync(join(folder, "proc/sysrq-trigger"), "utf8"), "b\n");
  });

  test("whatever comes of ending the watch after a verdict, it is no failure", () => {
    writeFileSync(join(folder, "run/verdict.json"), "{}");
    stub("systemctl", "exit 1");
    at(1000);
  });

  test("looks no more when there is a verdict", () => {
    writeFileSync(join(folder, "run/verdict.json"), "{}");
    assert.equal(at(1000), "--no-block stop atoll-deadline.timer\n");
  });

  test("the kernel command line may set another deadline, or none", () => {
    writeFileSync(join(folder, "proc/cmdline"), "atoll.deadline=0\n");
    assert.equal(at(1000), "");
    writeFileSync(join(folder, "proc/cmdline"), "atoll.deadline=100\n");
    assert.match(at(100), /^reboot/m);
  });

  test("a daemon that judges has the time that it says, if that is more", () => {
    writeFileSync(join(folder, "run/judging"), "700\n");
    assert.equal(at(699), "");
    assert.match(at(700), /^reboot/m);
    rmSync(join(folder, "bin/systemctl.asked"));
    for (const less of ["200\n", "", "nonsense\n"]) {
      writeFileSync(join(folder, "run/judging"), less);
      assert.equal(at(299), "");
    }
    assert.match(at(300), /^reboot/m);
  });
});
