import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import Type from "typebox";
import { projectRoot } from "../src/paths.ts";
import { defineBench, median, repeat, timed } from "./harness.ts";
import { seconds, table } from "./table.ts";

const runs = 15;

/** How long the command takes to say anything at all. */
export const command = defineBench({
  name: "command",
  figures: Type.Object({
    calls: Type.Array(Type.Object({ call: Type.String(), median: Type.Number(), fastest: Type.Number() })),
  }),
  measure: async () => {
    const node = process.execPath;
    const calls: readonly [string, string, readonly string[]][] = [
      ["Node.js alone (an empty program)", node, ["--eval", ""]],
      ["`atoll --help`, as a host has it", node, [join(projectRoot, "dist", "atoll-host.mjs"), "--help"]],
      [
        "`atoll --help`, with composing and the lab",
        node,
        [join(projectRoot, "dist", "atoll.mjs"), "--help"],
      ],
      ["`./atoll --help` in a clone", join(projectRoot, "atoll"), ["--help"]],
    ];
    // The first call of each fills Node's compile cache, as the first one of a user does.
    for (const [, program, words] of calls) await promisify(execFile)(program, [...words]);
    const times = calls.map((): number[] => []);
    await repeat(runs, async () => {
      for (const [index, [, program, words]] of calls.entries()) {
        const { seconds: taken } = await timed(() => promisify(execFile)(program, [...words]));
        times[index]?.push(taken);
      }
    });
    return {
      calls: calls.map(([call], index) => {
        const taken = times[index] ?? [];
        return { call, median: median(taken), fastest: Math.min(...taken) };
      }),
    };
  },
  render: ({ calls }) =>
    table(
      ["call", `middle of ${runs}`, "fastest", "goal"],
      calls.map(({ call, median: middle, fastest }) => [
        call,
        seconds(middle),
        seconds(fastest),
        call.includes("--help") ? "100 ms" : "",
      ]),
    ),
});
