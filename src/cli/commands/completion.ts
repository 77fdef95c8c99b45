import type { Complete } from "@bomb.sh/tab";
import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";

/** For arguments of these names, what can be completed; looked up when the user presses Tab. */
export type Completions = Readonly<Record<string, () => readonly string[]>>;

/** How deployments can be named on every host. */
export const hostCompletions: Completions = {
  deployment: () => ["booted", "rollback"],
  from: () => ["booted", "staged", "rollback", "update"],
  to: () => ["booted", "staged", "rollback", "update"],
};

/**
 * Adds `completion SHELL`, which prints the script that makes the shell complete this program's words, and the hidden
 * `complete`, which that script calls. Must come after all other commands, for it looks at them.
 */
export function addCompletion(program: Command, completions: Completions): void {
  const root = tab(program, { completionCommandName: "completion" });
  for (const command of root.commands.values()) {
    for (const argument of command.arguments.values()) {
      const values = completions[argument.name];
      if (values) argument.handler = offer(values);
    }
    for (const option of command.options.values()) {
      const values = completions[option.value];
      if (values) option.handler = offer(values);
    }
  }
  const own = program.commands.find((command) => command.name() === "completion");
  own
    ?.description("print the script that makes a shell complete commands")
    .addHelpText(
      "after",
      [
        "",
        "Examples:",
        "  bash: atoll completion bash > ~/.local/share/bash-completion/completions/atoll",
        "  zsh:  atoll completion zsh > ~/.zfunc/_atoll",
        "  fish: atoll completion fish > ~/.config/fish/completions/atoll.fish",
      ].join("\n"),
    );
}

function offer(values: () => readonly string[]): (complete: Complete) => void {
  return (complete) => {
    for (const value of values()) complete(value, "");
  };
}
