import type { Command } from "commander";
import { changeHost } from "../change.ts";
import { type CliContext, makeHostCommand } from "../command.ts";

export function usroverlayCommand(context: CliContext): Command {
  const command = makeHostCommand(
    context,
    "usroverlay",
    "make /usr writable until the next boot, to try things",
    [{ command: "atoll host usroverlay", does: "changes in /usr are gone after a reboot" }],
  );
  return command.action(() => changeHost(context, command, "usroverlay", {}));
}
