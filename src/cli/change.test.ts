import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { type HostClient, HostFailure } from "../api/client.ts";
import type { OperationEvent, OperationResult, StatusResponse } from "../api/types.ts";
import { AtollError, exitCodes } from "../errors.ts";
import { changeHost } from "./change.ts";
import type { CliContext } from "./command.ts";
import { kargsCommand } from "./commands/kargs.ts";
import { recordedTerminal } from "./recorded-terminal.ts";
import { sampleDeployment, sampleResult, sampleStatus } from "./samples.ts";
import type { Connection } from "./transport.ts";

const at = "2026-11-22T15:00:00Z";
const wanted = sampleDeployment({ checksum: "new0", version: "20261122.2" });
const unreachable = new AtollError("HOST_UNREACHABLE", { host: "box", cause: "it is down" });

interface Story {
  /** What the events of the operation are; they break off at an Error. */
  readonly events: readonly (OperationEvent | Error)[];
  /** What the host answers when it is asked how it is, one after the other; the last one again and again. */
  readonly statuses?: readonly (StatusResponse | Error)[];
}

function fakeClient(story: Story, log: string[]): HostClient {
  const statuses = [...(story.statuses ?? [sampleStatus()])];
  const never = (): Promise<never> => Promise.reject(new Error("not asked in this test"));
  return {
    name: "box",
    async status() {
      const next = statuses.length > 1 ? statuses.shift() : statuses[0];
      if (!next || next instanceof Error) throw next ?? unreachable;
      return next;
    },
    async begin(verb, body) {
      log.push(`begin ${verb} ${JSON.stringify(body)}`);
      return {
        ...{ id: "1", verb, state: "running", startedAt: at, endedAt: null },
        ...{ step: null, result: null, error: null },
      };
    },
    async *events() {
      for (const event of story.events) {
        if (event instanceof Error) throw event;
        yield event;
      }
    },
    operation: () => Promise.reject(unreachable),
    async cancel(id) {
      log.push(`cancel ${id}`);
      return never();
    },
    ...{ version: never, history: never, health: never, diff: never },
  };
}

interface Told {
  readonly output: string;
  readonly errors: string;
  readonly code: number;
  readonly log: readonly string[];
}

/** Has `work` done against a host that answers as `story` says. */
async function tell(story: Story, work: (context: CliContext) => Promise<unknown>): Promise<Told> {
  const { terminal, output, errors } = recordedTerminal();
  const log: string[] = [];
  let code = 0;
  const client = fakeClient(story, log);
  const connection: Connection = { client, outside: true, renew: async () => connection };
  const context: CliContext = {
    ...{ terminal, env: {}, signal: new AbortController().signal, sleep: async () => {} },
    transport: { remote: true, connect: async () => connection },
    exitWith: (value) => {
      code = value;
    },
  };
  await work(context);
  return { output: output(), errors: errors(), code, log };
}

function run(
  story: Story,
  options: { reboot?: boolean; wait?: boolean; json?: boolean } = {},
): Promise<Told> {
  const command = new Command("upgrade").option("--json");
  if (options.json) command.setOptionValue("json", true);
  return tell(story, (context) => changeHost(context, command, "upgrade", {}, options));
}

const result = (over: Partial<OperationResult>): OperationEvent => ({
  ...{ type: "result", at },
  result: sampleResult(over),
});

test("steps on standard error, the outcome on standard output", async () => {
  const told = await run({ events: [{ type: "step", at, step: "fetching" }, result({ reboot: "needed" })] });
  assert.equal(told.errors, "fetching\n");
  assert.equal(told.output, "20261122.2 boots next\n  It takes effect at the next reboot.\n");
  assert.equal(told.code, 0);
});

test("nothing to do has an exit code of its own", async () => {
  const told = await run({ events: [result({ changed: false, summary: "no update" })] });
  assert.equal(told.code, exitCodes.nothingToDo);
});

test("a refusal is passed on", async () => {
  const error = { code: "NO_SPACE", message: "too big", next: "free some", parameters: {} };
  await assert.rejects(
    run({ events: [{ type: "error", at, error }] }),
    (thrown) => thrown instanceof HostFailure,
  );
});

const goingDown = result({ reboot: "started", deployment: wanted });
/** Its clock was not set yet: it starts in the past. */
const rebooted = { boot: "boot-3", bootedAt: "1970-01-01T00:00:30Z" };

test("a host that comes back well on what was wanted", async () => {
  const back = sampleStatus({ ...rebooted, deployments: [wanted] });
  // Still the boot before, whose clock was set meanwhile.
  const stepped = sampleStatus({ bootedAt: "2026-11-22T15:10:00Z" });
  const told = await run(
    { events: [goingDown], statuses: [sampleStatus(), unreachable, stepped, back] },
    { reboot: true, wait: true },
  );
  assert.match(told.output, /is back on 20261122\.2, and well/);
  assert.equal(told.code, 0);
});

test("a host that had to go back: exit code 1, and the reason", async () => {
  const back = sampleStatus({
    ...rebooted,
    trial: { state: "settled", bootId: "a-b", attempt: null, tries: 3, failedBootId: "c-d" },
    bad: [
      {
        ...{ checksum: "new0", version: "20261122.2", kernelArguments: ["bad=1"], bootId: "e-f", at },
        ...{ reasons: ["another time, with other arguments"], boots: [], askedAgain: false },
        blame: "pair" as const,
      },
      {
        ...{ checksum: "new0", version: "20261122.2", bootId: "c-d", at },
        kernelArguments: wanted.kernelArguments ?? [],
        ...{ reasons: ["required.d/50-broken.sh failed"], boots: [], askedAgain: false },
        blame: "tree" as const,
      },
    ],
  });
  const onTrial = sampleStatus({
    ...{ boot: "boot-2", verdict: null, deployments: [wanted] },
    trial: { state: "on-trial", bootId: "c-d", attempt: 1, tries: 3, failedBootId: null },
  });
  const told = await run(
    { events: [goingDown], statuses: [sampleStatus(), onTrial, unreachable, back] },
    { reboot: true, wait: true },
  );
  assert.match(told.errors, /on trial, try 1 of 3/);
  assert.match(told.output, /went back to 20261122\.1: required\.d\/50-broken\.sh failed/);
  assert.equal(told.code, exitCodes.failed);
});

test("a connection that breaks because the host reboots, as told, is no failure", async () => {
  const told = await run(
    { events: [{ type: "step", at, step: "rebooting" }, unreachable] },
    { reboot: true },
  );
  assert.equal(told.output, "It reboots.\n");
  assert.equal(told.code, 0);
});

test("with --json one document, with the status in the end when it was waited for", async () => {
  const back = sampleStatus({ ...rebooted, deployments: [wanted] });
  const told = await run(
    { events: [goingDown], statuses: [sampleStatus(), back] },
    { reboot: true, wait: true, json: true },
  );
  const document = JSON.parse(told.output);
  assert.equal(document.result.deployment.checksum, "new0");
  assert.equal(document.status.boot, rebooted.boot);
});

test("kernel arguments go as they were given; with --again also those remembered as bad", async () => {
  const words = "--append a=1 --append b --delete c --replace d=1=2 --again --reboot".split(" ");
  const told = await tell({ events: [result({ reboot: "started" })] }, (context) =>
    kargsCommand(context).parseAsync(words, { from: "user" }),
  );
  const body = { append: ["a=1", "b"], delete: ["c"], replace: ["d=1=2"], again: true, reboot: true };
  assert.deepEqual(told.log, [`begin kargs ${JSON.stringify(body)}`]);
  const shown = await tell({ events: [] }, (context) =>
    kargsCommand(context).parseAsync([], { from: "user" }),
  );
  assert.deepEqual(shown.log, [], "without changes they are only shown");
});
