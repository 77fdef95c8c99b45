import type { Command } from "commander";
import type { HealthCheck } from "../../api/types.ts";
import { exitCodes } from "../../errors.ts";
import { type CliContext, type CommonOptions, makeHostCommand, withHost } from "../command.ts";
import { json, wrap } from "../output.ts";
import { styled, type Terminal } from "../terminal.ts";

interface HealthOptions extends CommonOptions {
  readonly fresh?: boolean;
}

export function healthCommand(context: CliContext): Command {
  const command = makeHostCommand(context, "health", "show the health checks; exit code 1 when unwell", [
    { command: "atoll host health", does: "those of this boot's verdict" },
    { command: "atoll host health --fresh", does: "run them now; nothing is changed by it" },
  ]).option("--fresh", "run the checks now");
  return command.action(() =>
    withHost(context, command, async ({ client }) => {
      const options: HealthOptions = command.optsWithGlobals();
      const health = await client.health(options.fresh === true);
      const { terminal } = context;
      if (options.json) terminal.out(json(health));
      else if (!health.report) terminal.out("The checks of this boot have not been run yet.");
      else terminal.out(health.report.checks.map((check) => checkText(check, terminal)).join("\n"));
      const outcome = health.report?.outcome ?? health.verdict?.outcome;
      if (outcome === "unwell") context.exitWith(exitCodes.failed);
    }),
  );
}

function checkText(check: HealthCheck, terminal: Terminal): string {
  const failure = check.required ? styled(terminal, "bad", "failed ") : styled(terminal, "warn", "warning");
  const outcome = {
    passed: styled(terminal, "good", "passed "),
    failed: failure,
    skipped: styled(terminal, "faint", "skipped"),
  }[check.outcome];
  const name = check.name.padEnd(14);
  const indent = " ".repeat(9);
  const first = wrap(`${name} ${check.summary}`, terminal.columns - indent.length);
  const detail = check.outcome === "failed" ? check.detail.map((line) => `${indent}${line}`) : [];
  return [`${outcome}  ${first.replaceAll("\n", `\n${indent}`)}`, ...detail].join("\n");
}
