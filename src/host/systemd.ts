/** systemd, through `systemctl`. */
import { run } from "../process.ts";

/** A service that Quadlet made from a file of the owner's or of the tree's. */
export interface ContainerUnit {
  readonly unit: string;
  /** The Quadlet file. */
  readonly source: string;
  readonly active: boolean;
  /** Whether each boot starts it, and not only a timer, a socket or a person. */
  readonly atBoot: boolean;
  /** `active/running`, `failed/exit-code`, … for a person. */
  readonly state: string;
}

/** What came of a program that ran outside the daemon's sandbox. */
export interface OutsideResult {
  /** Its exit code; null when it was killed. */
  readonly code: number | null;
  readonly timedOut: boolean;
  readonly output: string;
}

export interface Systemd {
  /** Names of the units that failed. */
  failedUnits(signal: AbortSignal): Promise<string[]>;
  containerUnits(signal: AbortSignal): Promise<ContainerUnit[]>;
  /** Starts `unit` and waits for the end of its job; joins the job that is queued already. */
  start(unit: string, signal: AbortSignal): Promise<void>;
  /** Whether the machine is shutting down. */
  isStopping(signal: AbortSignal): Promise<boolean>;
  /** Asks for a reboot in good order, and returns at once. */
  reboot(signal: AbortSignal): Promise<void>;
  /** Runs a program as a unit of its own: not in the daemon's sandbox, and ended by systemd after `timeLimit` ms. */
  readonly runOutside: (
    argv: readonly string[],
    timeLimit: number,
    signal: AbortSignal,
  ) => Promise<OutsideResult>;
}

export function systemctl(): Systemd {
  return {
    async failedUnits(signal) {
      const stdout = await ask(
        ["list-units", "--state=failed", "--all", "--output=json"],
        "listing failed units",
        signal,
      );
      return parseUnitNames(stdout);
    },
    async containerUnits(signal) {
      const fields = ["Id", "SourcePath", "LoadState", "ActiveState", "SubState", "Result", ...startedBy];
      return parseContainerUnits(
        await ask(
          ["show", `--property=${fields.join()}`, "*.service", "*.target"],
          "listing container units",
          signal,
        ),
      );
    },
    async start(unit, signal) {
      await ask(["start", unit], `waiting for ${unit}`, signal);
    },
    async isStopping(signal) {
      // Its exit code tells running from everything else.
      const state = await ask(["is-system-running"], "asking for the system's state", signal, anyCode);
      return state.trim() === "stopping";
    },
    async reboot(signal) {
      await ask(["reboot", "--no-block"], "rebooting", signal);
    },
    runOutside,
  };
}

/** Exit codes are any program's own. */
const anyCode: readonly number[] = Array.from({ length: 256 }, (_, code) => code);

async function runOutside(
  argv: readonly string[],
  timeLimit: number,
  signal: AbortSignal,
): Promise<OutsideResult> {
  const properties = [
    `RuntimeMaxSec=${Math.ceil(timeLimit / 1000)}`,
    "TimeoutStopSec=5",
    "CollectMode=inactive-or-failed",
  ];
  const { code, stdout, stderr } = await run(
    ["systemd-run", "--wait", "--pipe", ...properties.map((word) => `--property=${word}`), "--", ...argv],
    { step: `running ${argv.at(-1) ?? ""}`, signal, accept: anyCode, env: { LC_ALL: "C" } },
  );
  return outsideResult(code, stdout, stderr);
}

/** `systemd-run --wait --pipe`: the program's own output, among it what systemd-run says of its unit. */
export function outsideResult(code: number, stdout: string, stderr: string): OutsideResult {
  const result = /^\s*Finished with result: (\S+)/m.exec(stderr)?.[1] ?? "success";
  const said =
    /^\s*(Running as unit|Finished with result|Main processes terminated|Service runtime|CPU time consumed|Memory peak|Memory swap peak|IO bytes|IP traffic|Press \^\])/;
  const own = stderr.split("\n").filter((line) => !said.test(line));
  return {
    code: result === "signal" || result === "timeout" || result === "core-dump" ? null : code,
    timedOut: result === "timeout",
    output: `${stdout}${own.join("\n")}`.trim(),
  };
}

async function ask(
  args: readonly string[],
  step: string,
  signal: AbortSignal,
  accept: readonly number[] = [0],
): Promise<string> {
  const options = { step, signal, accept, env: { LC_ALL: "C" } };
  const { stdout } = await run(["systemctl", "--no-pager", ...args], options);
  return stdout;
}

/** Names in the output of `systemctl list-units --output=json`. */
export function parseUnitNames(json: string): string[] {
  const list: unknown = JSON.parse(json.trim() || "[]");
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown) =>
    typeof item === "object" && item !== null && "unit" in item && typeof item.unit === "string"
      ? [item.unit]
      : [],
  );
}

/** The properties that name the units which start a unit when they are started. */
const startedBy = ["WantedBy", "RequiredBy", "BoundBy", "UpheldBy"] as const;

type Fields = ReadonlyMap<string, string>;

/** Services whose source is a Quadlet file, in the output of `systemctl show` for all services and targets. */
export function parseContainerUnits(output: string): ContainerUnit[] {
  const all = output
    .split(/\n\n+/)
    .map((block): Fields => new Map(block.split("\n").map((line) => splitOnce(line))));
  const units = new Map(all.map((fields) => [fields.get("Id") ?? "", fields]));
  return all.flatMap((fields) => {
    const unit = fields.get("Id");
    const source = fields.get("SourcePath") ?? "";
    const active = fields.get("ActiveState") ?? "unknown";
    const loaded = fields.get("LoadState") === "loaded";
    if (unit === undefined || !loaded || !/\/containers\/systemd\/.+\.(container|pod|kube)$/.test(source))
      return [];
    const detail = active === "failed" ? fields.get("Result") : fields.get("SubState");
    const atBoot = isStartedAtBoot(unit, units);
    return [{ unit, source, active: active === "active", atBoot, state: `${active}/${detail ?? ""}` }];
  });
}

/** True when a target that is reached starts `name`, or starts what starts it. */
function isStartedAtBoot(name: string, units: ReadonlyMap<string, Fields>): boolean {
  const seen = new Set([name]);
  // A set gives what is added while it is walked, too.
  for (const one of seen) {
    const fields = units.get(one);
    if (one.endsWith(".target") && fields?.get("ActiveState") === "active") return true;
    for (const property of startedBy)
      for (const starter of (fields?.get(property) ?? "").split(" ")) seen.add(starter);
  }
  return false;
}

function splitOnce(line: string): [string, string] {
  const equals = line.indexOf("=");
  return equals < 0 ? [line, ""] : [line.slice(0, equals), line.slice(equals + 1)];
}
