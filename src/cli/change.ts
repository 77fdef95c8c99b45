import type { Command } from "commander";
import type { HostRequests, HostVerb, OperationResult, StatusResponse } from "../api/types.ts";
import { exitCodes } from "../errors.ts";
import { type CliContext, type CommonOptions, misuse, withHost } from "./command.ts";
import { runOperation, waitForVerdict } from "./operation.ts";
import { json, wrap } from "./output.ts";
import { packageSummary } from "./status-text.ts";
import { styled } from "./terminal.ts";

export interface RebootOptions {
  readonly reboot?: boolean;
  readonly wait?: boolean;
}

/** The options of a verb that changes what boots next. */
export function addRebootOptions(command: Command): Command {
  return command
    .option("--reboot", "and reboot into it")
    .option("--wait", "with --reboot: wait until the host is back and judged");
}

/** Has the host do one of its changing verbs, and tells what came of it. */
export async function changeHost<V extends HostVerb>(
  context: CliContext,
  command: Command,
  verb: V,
  body: HostRequests[V],
  options: CommonOptions & RebootOptions = {},
): Promise<void> {
  if (options.wait && !options.reboot) throw misuse(command, "--wait needs --reboot");
  await withHost(context, command, async (connection, { json: asJson }) => {
    const wait = options.wait === true && connection.outside;
    if (options.wait && !wait) {
      throw misuse(command, "--wait is for another computer: this one is the host that reboots");
    }
    const before = wait ? await connection.client.status() : null;
    const reboots = options.reboot === true;
    const result = await runOperation(context, connection, { verb, body, reboots });
    if (!asJson) context.terminal.out(result ? resultText(context, result) : "It reboots.");
    let after: StatusResponse | null = null;
    if (before && (result === null || result.reboot === "started")) {
      after = await waitForVerdict(context, connection, before);
      if (!asJson) context.terminal.out(verdictText(context, result, after));
    }
    if (asJson) context.terminal.out(json(after ? { result, status: after } : { result }));
    if (result?.changed === false) context.exitWith(exitCodes.nothingToDo);
    if (after && !cameUpWell(result, after)) context.exitWith(exitCodes.failed);
  });
}

function resultText({ terminal }: CliContext, result: OperationResult): string {
  const lines = [wrap(result.summary, terminal.columns)];
  if (result.packages) lines.push(wrap(packageSummary(result.packages), terminal.columns, "  "));
  for (const { path, here, tree } of result.conflicts) {
    const text = `conflict: ${path} was ${here} here and ${tree} in the new version; yours stays`;
    lines.push(styled(terminal, "warn", wrap(text, terminal.columns, "  ")));
  }
  if (result.reboot === "needed") lines.push("  It takes effect at the next reboot.");
  return lines.join("\n");
}

/** Whether what was to boot has booted, and is well. */
function cameUpWell(result: OperationResult | null, after: StatusResponse): boolean {
  if (after.verdict?.outcome !== "well") return false;
  // A host that could not tell any more what was to boot still tells whether it had to go back.
  if (!result?.deployment) return after.trial.failedBootId === null;
  return sameDeployment(
    result.deployment,
    after.deployments.find((each) => each.booted),
  );
}

type Identity = { readonly checksum: string; readonly kernelArguments: readonly string[] | null };

function sameDeployment(wanted: Identity, booted: Identity | undefined): boolean {
  if (wanted.checksum !== booted?.checksum) return false;
  const { kernelArguments } = wanted;
  return (
    kernelArguments === null ||
    booted.kernelArguments === null ||
    kernelArguments.join(" ") === booted.kernelArguments.join(" ")
  );
}

function verdictText(
  { terminal }: CliContext,
  result: OperationResult | null,
  after: StatusResponse,
): string {
  const booted = after.deployments.find((each) => each.booted);
  const version = booted?.version ?? "an unnamed version";
  if (cameUpWell(result, after)) {
    return styled(terminal, "good", `${after.hostname} is back on ${version}, and well.`);
  }
  const wanted = result?.deployment;
  const bad = after.bad.findLast((tree) => wanted && sameDeployment(wanted, tree)) ?? after.bad.at(-1);
  const reasons = after.verdict?.outcome === "unwell" ? after.verdict.reasons : (bad?.reasons ?? []);
  const why = reasons.length > 0 ? `: ${reasons.join("; ")}` : "";
  const what =
    after.verdict?.outcome === "unwell"
      ? `runs ${version} and is unwell${why}`
      : `went back to ${version}${why}`;
  return styled(terminal, "bad", wrap(`${after.hostname} ${what}.`, terminal.columns));
}
