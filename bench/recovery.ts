import Type from "typebox";
import type { Verdict } from "../src/api/types.ts";
import { hasCode } from "../src/errors.ts";
import { getMachine, type LabTools } from "../src/lab/machine.ts";
import { machineFiles } from "../src/lab/record.ts";
import { labTarget, sshRun } from "../src/lab/ssh.ts";
import { labDirectory } from "../src/paths.ts";
import { Console } from "../test/console.ts";
import { deriveTree, faults, publish, verdictLine } from "../test/trees.ts";
import { defineBench, secondsSince, timed } from "./harness.ts";
import { dropMachine, makeHostImage, makeMachine, startTimed } from "./machines.ts";
import { openOrigin } from "./origin.ts";
import { seconds, table } from "./table.ts";
import { openGround } from "./trees.ts";

const machine = "recovery";
const patienceMs = 15 * 60_000;

/** From a reboot into a tree that cannot start to a host that is well again, with nobody's help. */
export const recovery = defineBench({
  name: "recovery",
  figures: Type.Object({
    /** Power on to the verdict of an ordinary start, the first one. */
    firstStart: Type.Number(),
    /** `atoll upgrade` on the host: the tree checked, fetched and staged. */
    upgrade: Type.Number(),
    /** Seconds from the order to reboot to each panic. */
    panics: Type.Array(Type.Number()),
    /** Seconds from there to the verdict on the last good tree. */
    recovered: Type.Number(),
  }),
  measure: async (context) => {
    const { toolbox, signal, progress } = context;
    const tools: LabTools = { lab: labDirectory(), toolbox, signal };
    const ground = await openGround(context);
    const origin = await openOrigin(ground.path);
    try {
      await makeMachine(
        tools,
        machine,
        await makeHostImage(context, ground, `http://10.0.2.2:${origin.port}/files`),
      );
      progress.step("starting a host");
      const { wall: firstStart } = await startTimed(tools, machine);
      const broken = await deriveTree(ground, {
        version: `${ground.version}.20`,
        timestamp: ground.timestamp + 20,
        files: faults.panic,
      });
      await publish(ground, broken);
      progress.step("updating to a tree that panics");
      const upgrade = await timed(() => command(tools, "atoll upgrade"));
      const screen = new Console(machineFiles(tools.lab, machine).consoleLog);
      const mark = await screen.mark();
      const ordered = performance.now();
      // It may take the connection down before it has said that all is well.
      await command(tools, "systemctl reboot").catch((error: unknown) => {
        if (!hasCode(error, "HOST_UNREACHABLE")) throw error;
      });
      return {
        firstStart,
        upgrade: upgrade.seconds,
        ...(await watchFallback(screen, mark, ordered, signal)),
      };
    } finally {
      await dropMachine(tools.lab, machine);
      await origin.close();
    }
  },
  render: ({ firstStart, upgrade, panics, recovered }) =>
    table(
      ["what", "time"],
      [
        ["an ordinary start for comparison: power on to the verdict, the first time", seconds(firstStart)],
        ["`atoll upgrade`: checked, fetched, staged", seconds(upgrade)],
        ...panics.map((at, index) => [`from the order to reboot to panic ${index + 1}`, seconds(at)]),
        ["**from the order to reboot to the last good tree, judged well**", seconds(recovered)],
      ],
    ),
});

async function command(tools: LabTools, line: string): Promise<void> {
  const { record } = await getMachine(tools.lab, machine);
  await sshRun(labTarget(tools.lab, record), line, {
    step: `running \`${line}\` on a host`,
    ...(tools.signal && { signal: tools.signal }),
  });
}

/** Waits for three panics and the verdict after them, and gives the seconds from `since` to each. */
async function watchFallback(
  screen: Console,
  mark: number,
  since: number,
  signal: AbortSignal,
): Promise<{ panics: number[]; recovered: number }> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const panics: number[] = [];
  let from = mark;
  while (panics.length < 3) {
    const match = await screen.waitFor(/Kernel panic - not syncing/, from, limit);
    from += match.index + match[0].length;
    panics.push(secondsSince(since));
  }
  const [, said = ""] = await screen.waitFor(verdictLine, from, limit);
  const recovered = secondsSince(since);
  const verdict: Verdict = JSON.parse(said);
  if (verdict.outcome !== "well" || verdict.boot !== "fallback") {
    throw new Error(`it did not go back as it should: ${said}`);
  }
  return { panics, recovered };
}
