import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Command } from "commander";
import { cliReferencePath } from "../../scripts/docs.ts";
import { routes } from "../api/routes.ts";
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
    ["lab create x --image package.json --memory 32", "atoll lab create --help"],
    ["lab create x --image package.json --port 99999", "atoll lab create --help"],
    ["lab up --memory 1", "atoll lab up --help"],
  ];
  for (const [words, help] of mistakes) {
    await assert.rejects(
      program().parseAsync(words.split(" "), { from: "user" }),
      (error) => hasCode(error, "USAGE") && error.next.includes(help),
      words,
    );
  }
});

test("options that make no sense together are refused before anything is asked", async () => {
  const mistakes: readonly (readonly [string, string])[] = [
    ["upgrade --check --reboot", "atoll upgrade --help"],
    ["host upgrade --check --stage", "atoll host upgrade --help"],
    ["upgrade --check --allow-downgrade", "atoll upgrade --help"],
    ["upgrade --wait", "atoll upgrade --help"],
    ["host rollback --wait", "atoll host rollback --help"],
    ["host deploy 1 --wait", "atoll host deploy --help"],
    ["host rebase testing --wait", "atoll host rebase --help"],
    ["host kargs --reboot", "atoll host kargs --help"],
    ["host kargs --wait", "atoll host kargs --help"],
    ["host kargs --again", "atoll host kargs --help"],
    ["host kargs --append quiet --wait", "atoll host kargs --help"],
    ["host history --limit 10000", "atoll host history --help"],
    ["host history --limit 1e3", "atoll host history --help"],
  ];
  for (const [words, help] of mistakes) {
    await assert.rejects(
      program().parseAsync(words.split(" "), { from: "user" }),
      (error) => hasCode(error, "USAGE") && error.next === `see \`${help}\``,
      words,
    );
  }
});

/** What of a verb's request the command calls by another name. */
const renamed: Readonly<Record<string, string>> = { stream: "to", version: "target" };
/** What the command does by itself. */
const own: readonly string[] = ["host", "json", "help", "wait"];

test("a host verb's command offers what its route takes, and nothing else", () => {
  const host = program().commands.find((command) => command.name() === "host");
  const offered = (command: Command): string[] => [
    ...command.options.map((option) => option.attributeName()).filter((name) => !own.includes(name)),
    ...command.registeredArguments.map((argument) => renamed[argument.name()] ?? argument.name()),
  ];
  const verbs = routes().filter(({ method, path }) => method === "POST" && path.startsWith("/v1/host/"));
  assert.ok(verbs.length > 0);
  for (const { path, body } of verbs) {
    const command = host?.commands.find((each) => each.name() === path.split("/").at(-1));
    assert.ok(command, path);
    // A mode is an option of its own for each of its values.
    const taken = Object.entries(body?.properties ?? {}).flatMap(([key, schema]): readonly string[] =>
      key === "mode" && "enum" in schema && Array.isArray(schema.enum) ? schema.enum.map(String) : [key],
    );
    assert.deepEqual(offered(command).toSorted(), [...taken].toSorted(), path);
  }
});

test("every command has a summary, and a group none of its own doing", () => {
  const check = (command: ReturnType<typeof program>): void => {
    assert.ok(command.description() || command.summary(), command.name());
    for (const each of command.commands) check(each);
  };
  check(program());
});
