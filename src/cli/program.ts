import packageFile from "../../package.json" with { type: "json" };
import type { CliOptions } from "./cli.ts";
import { cacheCommand } from "./commands/cache.ts";
import { addCompletion, hostCompletions } from "./commands/completion.ts";
import { composeCommand } from "./commands/compose.ts";
import { hostCommand } from "./commands/host.ts";
import { imageCommand } from "./commands/image.ts";
import { labCommand, labCompletions } from "./commands/lab.ts";
import { rollbackCommand } from "./commands/rollback.ts";
import { statusCommand } from "./commands/status.ts";
import { upgradeCommand } from "./commands/upgrade.ts";
import { remoteTransport } from "./remote.ts";

/** The `atoll` command on a person's own computer: all there is. */
export const wholeProgram: CliOptions = {
  version: packageFile.version,
  summary: "Atoll: a container operating system that updates itself and goes back by itself",
  transport: remoteTransport,
  commands(program, context) {
    program.addCommand(labCommand(context));
    program.addCommand(composeCommand(context));
    program.addCommand(imageCommand(context));
    program.addCommand(cacheCommand(context));
    program.addCommand(statusCommand(context));
    program.addCommand(upgradeCommand(context));
    program.addCommand(rollbackCommand(context));
    program.addCommand(hostCommand(context));
    addCompletion(program, { ...hostCompletions, ...labCompletions(context.env) });
  },
};
