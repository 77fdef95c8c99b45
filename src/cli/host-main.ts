import packageFile from "../../package.json" with { type: "json" };
import { runCli } from "./cli.ts";
import { addCompletion, hostCompletions } from "./commands/completion.ts";
import { hostCommand } from "./commands/host.ts";
import { rollbackCommand } from "./commands/rollback.ts";
import { statusCommand } from "./commands/status.ts";
import { upgradeCommand } from "./commands/upgrade.ts";
import { localTransport } from "./transport.ts";

// The `atoll` command inside a machine: it speaks to its own daemon, and can neither compose nor run a lab.
await runCli(process.argv.slice(2), {
  version: packageFile.version,
  summary: "Atoll: this host",
  transport: (_env, signal) => localTransport(signal),
  commands(program, context) {
    program.addCommand(statusCommand(context));
    program.addCommand(upgradeCommand(context));
    program.addCommand(rollbackCommand(context));
    program.addCommand(hostCommand(context));
    addCompletion(program, hostCompletions);
  },
});
