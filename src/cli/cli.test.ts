import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { cliReferencePath } from "../../scripts/docs.ts";
import { hasCode } from "../errors.ts";
import { makeProgram } from "./cli.ts";
import type { CliContext } from "./command.ts";
import { wholeProgram } from "./program.ts";
import { recordedTerminal } from "./recorded-terminal.ts";
import { cliReference } from "./reference.ts";

function program() {
  const { terminal } = recordedTerminal();
  const { signal } = new AbortController();
  const context: CliContext = {
    ...{ terminal, env: { ATOLL_STATE: "/nonexistent" }, signal, sleep: async () => {}, exitWith: () => {} },
    transport: wholeProgram.transport({}, signal),
  };
  return makeProgram(context, wholeProgram);
}

test("docs/reference/cli.md says what the commands say (mend with: scripts/run docs)", () => {
  assert.equal(readFileSync(cliReferencePath, "utf8"), cliReference());
});

test("mistakes in the use of a command name the help that mends them", async () => {
  const mistakes: readonly (readonly [string, string])[] = [
    ["fly", "atoll --help"],
    ["lab fly", "atoll lab --help"],
    ["host upgrade --fly", "atoll host upgrade --help"],
    ["host deploy", "atoll host deploy --help"],
    ["lab create x", "atoll lab create --help"],
    ["lab create x --image y --firmware z", "atoll lab create --help"],
  ];
  for (const [words, help] of mistakes) {
    await assert.rejects(
      program().parseAsync(words.split(" "), { from: "user" }),
      (error) => hasCode(error, "USAGE") && error.next.includes(help),
      words,
    );
  }
});

test("options that exclude each other are refused before anything is asked", async () => {
  for (const words of ["upgrade --check --reboot", "upgrade --wait", "host rollback --wait"]) {
    await assert.rejects(program().parseAsync(words.split(" "), { from: "user" }), (error) =>
      hasCode(error, "USAGE"),
    );
  }
});

test("every command has a summary, and a group none of its own doing", () => {
  const check = (command: ReturnType<typeof program>): void => {
    assert.ok(command.description() || command.summary(), command.name());
    for (const each of command.commands) check(each);
  };
  check(program());
});
