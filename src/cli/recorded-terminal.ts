import type { Terminal } from "./terminal.ts";

/** A terminal for tests: plain, 80 columns wide, and it keeps what was said. */
export function recordedTerminal(options: Partial<Terminal> = {}): {
  readonly terminal: Terminal;
  readonly output: () => string;
  readonly errors: () => string;
} {
  let output = "";
  let errors = "";
  const terminal: Terminal = {
    out: (text) => {
      output += `${text}\n`;
    },
    err: (text) => {
      errors += `${text}\n`;
    },
    redraw: (text) => {
      errors += `\r${text}`;
    },
    ...{ columns: 80, colour: false, live: false, interactive: false },
    ...options,
  };
  return { terminal, output: () => output, errors: () => errors };
}
