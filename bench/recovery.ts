import Type from "typebox";
import type { LabTools } from "../src/lab/machine.ts";
import { labDirectory } from "../src/paths.ts";
import { TestMachine } from "../test/machine.ts";
import { deriveTree, faults, publish } from "../test/trees.ts";
import { defineBench, secondsSince } from "./harness.ts";
import { machineSpec, makeHostImage } from "./machines.ts";
import { openOrigin } from "./origin.ts";
import { seconds, table } from "./table.ts";
import { openGround } from "./trees.ts";

const patienceMs = 15 * 60_000;

/** From a reboot into a tree that cannot start to a host that is well again, with nobody's help. */
export const recovery = defineBench({
  name: "recovery",
  figures: Type.Object({
    /** Power on to the first verdict. */
    firstBoot: Type.Number(),
    /** Asking for the update to its being staged and the reboot on its way. */
    upgrade: Type.Number(),
    /** Seconds from there to each panic. */
    panics: Type.Array(Type.Number()),
    /** Seconds from there to the verdict on the last good tree. */
    recovered: Type.Number(),
  }),
  measure: async (context) => {
    const { toolbox, signal, progress } = context;
    const tools: LabTools = { lab: labDirectory(), toolbox, signal };
    const ground = await openGround(context);
    const origin = await openOrigin(ground.path);
    const machine = new TestMachine(tools, "recovery");
    try {
      const image = await makeHostImage(context, ground, `http://10.0.2.2:${origin.port}/files`);
      await machine.create(await machineSpec(tools.lab, machine.name, image));
      progress.step("starting a host");
      const poweredOn = performance.now();
      await machine.turnOn();
      await machine.judged();
      const firstBoot = secondsSince(poweredOn);
      const broken = await deriveTree(ground, {
        version: `${ground.version}.20`,
        timestamp: ground.timestamp + 20,
        files: faults.panic,
      });
      await publish(ground, broken);
      progress.step("updating to a tree that panics");
      await machine.expectReboot();
      const mark = await machine.console.mark();
      const asked = performance.now();
      await machine.change("upgrade", { mode: "reboot" });
      const upgrade = secondsSince(asked);
      const rebooting = performance.now();
      const panics = await timePanics(machine, mark, rebooting, signal);
      const verdict = await machine.judged();
      const recovered = secondsSince(rebooting);
      if (verdict.outcome !== "well" || verdict.boot !== "fallback") {
        throw new Error(`it did not go back as it should: ${JSON.stringify(verdict)}`);
      }
      return { firstBoot, upgrade, panics, recovered };
    } finally {
      await machine.remove();
      await origin.close();
    }
  },
  render: ({ firstBoot, upgrade, panics, recovered }) =>
    table(
      ["what", "time"],
      [
        ["first start, power on to the verdict", seconds(firstBoot)],
        ["the update: checked, fetched, staged", seconds(upgrade)],
        ...panics.map((at, index) => [`from the reboot to panic ${index + 1}`, seconds(at)]),
        ["**from the reboot to the last good tree, judged well**", seconds(recovered)],
      ],
    ),
});

/** Waits for three panics on the console, and gives the seconds from `since` to each. */
async function timePanics(
  machine: TestMachine,
  mark: number,
  since: number,
  signal: AbortSignal,
): Promise<number[]> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const panics: number[] = [];
  for (let from = mark; panics.length < 3; ) {
    const match = await machine.console.waitFor(/Kernel panic - not syncing/, from, limit);
    from += match.index + match[0].length;
    panics.push(secondsSince(since));
  }
  return panics;
}
