import { setTimeout as sleep } from "node:timers/promises";
import Type from "typebox";
import { getMachine, type LabTools, stopMachine } from "../src/lab/machine.ts";
import { labTarget, sshRun } from "../src/lab/ssh.ts";
import { labDirectory } from "../src/paths.ts";
import { defineBench, median, repeat } from "./harness.ts";
import { dropMachine, makeHostImage, makeMachine, type Start, startTimed } from "./machines.ts";
import { makePlainDebian } from "./plain-debian.ts";
import { bytes, percent, seconds, table } from "./table.ts";
import { openGround } from "./trees.ts";

const startSchema = Type.Object({
  wall: Type.Number(),
  cpu: Type.Number(),
  uptime: Type.Number(),
  multiUser: Type.Number(),
  memory: Type.Integer(),
  used: Type.Integer(),
});
const machineSchema = Type.Object({ first: startSchema, later: Type.Array(startSchema) });
type Machine = Type.Static<typeof machineSchema>;

/** How long each takes to be up, its first start aside; taken in turns, so that load meets both alike. */
const turns = 3;

/** From power on to work: our host against a plain Debian with the same kernel, on the same virtual machine. */
export const boot = defineBench({
  name: "boot",
  figures: Type.Object({
    accelerator: Type.String(),
    atoll: machineSchema,
    debian: machineSchema,
    daemon: Type.Object({
      /** Bytes resident after the idle time. */
      resident: Type.Integer(),
      /** Seconds of processor time over `idle` seconds. */
      cpu: Type.Number(),
      idle: Type.Number(),
    }),
  }),
  measure: async (context) => {
    const { toolbox, signal, progress } = context;
    const tools: LabTools = { lab: labDirectory(), toolbox, signal };
    const ground = await openGround(context);
    const images = {
      atoll: await makeHostImage(context, ground, "http://10.0.2.2:1"),
      debian: await makePlainDebian(context),
    };
    try {
      await makeMachine(tools, "atoll", images.atoll);
      await makeMachine(tools, "debian", images.debian);
      const cycle = async (name: "atoll" | "debian"): Promise<Start> => {
        progress.step(`starting ${name}`);
        const start = await startTimed(tools, name);
        await stopMachine(tools, name);
        return start;
      };
      const round = async () => ({ debian: await cycle("debian"), atoll: await cycle("atoll") });
      const first = await round();
      const later = await repeat(turns, round);
      await startTimed(tools, "atoll");
      const { record } = await getMachine(tools.lab, "atoll");
      return {
        accelerator: record.process?.accelerator ?? "none",
        atoll: { first: first.atoll, later: later.map(({ atoll }) => atoll) },
        debian: { first: first.debian, later: later.map(({ debian }) => debian) },
        daemon: await watchIdle(tools, "atoll"),
      };
    } finally {
      for (const name of ["atoll", "debian"]) await dropMachine(tools.lab, name);
    }
  },
  render: ({ accelerator, atoll, debian, daemon }) => {
    const row = (what: string, show: (value: number) => string, of: (machine: Machine) => number) => [
      ...[what, show(of(atoll)), show(of(debian)), percent(of(atoll), of(debian))],
    ];
    const middle = (key: keyof Start) => (machine: Machine) =>
      median(machine.later.map((start) => start[key]));
    const starts = table(
      ["start (UEFI, 2 processors, 1 GiB)", "Atoll", "plain Debian 13", "ratio"],
      [
        row("**power on to ready**", seconds, middle("wall")),
        row("the same, the first time ever", seconds, ({ first }) => first.wall),
        row("processor time that QEMU used until then", seconds, middle("cpu")),
        row("kernel start to ready", seconds, middle("uptime")),
        row("kernel start to multi-user.target", seconds, middle("multiUser")),
        row("memory in use when ready", bytes, middle("used")),
      ],
    );
    const idle = table(
      ["the daemon", "measured", "goal"],
      [
        ["resident memory", bytes(daemon.resident), "75 MB"],
        [`processor over ${daemon.idle.toFixed(0)} idle seconds`, percent(daemon.cpu, daemon.idle), "0 %"],
      ],
    );
    return `Middle of ${turns} starts each, in turns, by QEMU with ${accelerator}; all: ${spread("Atoll", atoll)}, ${spread("Debian", debian)} from power on to ready.\n\n${starts}\n\n${idle}`;
  },
});

function spread(name: string, { later }: Machine): string {
  return `${name} ${later.map(({ wall }) => seconds(wall)).join(", ")}`;
}

/** What a boot leaves to do goes on for a while after the verdict. */
const settleMs = 30_000;
const idleMs = 60_000;

/** Looks at the daemon before and after a minute in which nobody asks it for anything. */
async function watchIdle(
  tools: LabTools,
  name: string,
): Promise<{ resident: number; cpu: number; idle: number }> {
  const { record } = await getMachine(tools.lab, name);
  const look = async (): Promise<{ resident: number; cpu: number; uptime: number }> => {
    const pid = "$(systemctl show --property=MainPID --value atolld.service)";
    const { stdout } = await sshRun(
      labTarget(tools.lab, record),
      `cat /proc/uptime /proc/${pid}/stat /proc/${pid}/status`,
      { step: "looking at the daemon", ...(tools.signal && { signal: tools.signal }) },
    );
    return parseLook(stdout);
  };
  await sleep(settleMs, undefined, tools.signal && { signal: tools.signal });
  const before = await look();
  await sleep(idleMs, undefined, tools.signal && { signal: tools.signal });
  const after = await look();
  const round = (value: number): number => Math.round(value * 100) / 100;
  return {
    resident: after.resident,
    cpu: round(after.cpu - before.cpu),
    idle: round(after.uptime - before.uptime),
  };
}

/** Reads /proc/uptime, a line of /proc/PID/stat, and /proc/PID/status, one after the other. */
function parseLook(text: string): { resident: number; cpu: number; uptime: number } {
  const [uptime = "", stat = ""] = text.split("\n");
  // proc_pid_stat(5): fields 14 and 15, in hundredths of a second; field 2 ends with a parenthesis.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1];
  if (resident === undefined) throw new Error(`atolld does not run: ${text}`);
  return {
    uptime: Number.parseFloat(uptime),
    cpu: (Number(fields[11]) + Number(fields[12])) / 100,
    resident: Number(resident) * 1024,
  };
}
