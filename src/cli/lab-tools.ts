import { openToolbox } from "../compose/toolbox.ts";
import { AtollError } from "../errors.ts";
import { type LabContext, type LabTools, listMachines } from "../lab/machine.ts";
import { cacheDirectory, labDirectory } from "../paths.ts";
import type { Progress } from "../progress.ts";
import type { CliContext } from "./command.ts";

/** The lab of the user who runs this command. */
export function labContext({ env, signal }: CliContext): LabContext {
  return { lab: labDirectory(env), signal };
}

/** The same with the toolbox, which is made first if this computer has none yet. */
export async function labTools(context: CliContext, progress: Progress): Promise<LabTools> {
  const { env, signal } = context;
  return {
    ...labContext(context),
    toolbox: await openToolbox({ cache: cacheDirectory(env), progress, signal }),
  };
}

/** The machine that a command without a name means: the only one. Errors: LAB_EMPTY, USAGE when there are several. */
export async function onlyMachine(
  context: CliContext,
  name: string | undefined,
  help: string,
): Promise<string> {
  if (name !== undefined) return name;
  const machines = await listMachines(labDirectory(context.env));
  const [first, second] = machines;
  if (!first) throw new AtollError("LAB_EMPTY");
  if (second) {
    const names = machines.map(({ record }) => record.name).join(", ");
    throw new AtollError("USAGE", { problem: `which machine? there are ${names}`, help });
  }
  return first.record.name;
}
