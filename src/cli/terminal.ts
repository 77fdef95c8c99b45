import { styleText } from "node:util";

/** Where a command speaks: results on standard output, everything else on standard error. */
export interface Terminal {
  /** Writes one or more whole lines of the result. */
  out(text: string): void;
  /** Writes one or more whole lines of what is not the result. */
  err(text: string): void;
  /** Redraws the live line, which is not ended; only where `live`. */
  redraw(text: string): void;
  /** Width of what people see; Infinity where nobody looks, so that nothing is cut. */
  readonly columns: number;
  /** Whether the result may be coloured. */
  readonly colour: boolean;
  /** Whether standard error is a terminal, on which a line can be drawn over. */
  readonly live: boolean;
  /** Whether both ends are a person, who can be asked and can type. */
  readonly interactive: boolean;
}

/** The terminal of this process. Colour: on a terminal, unless NO_COLOR is set (no-color.org) or TERM is dumb. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  const dumb = env.TERM === "dumb";
  return {
    out: (text) => void stdout.write(`${text}\n`),
    err: (text) => void stderr.write(`${text}\n`),
    redraw: (text) => void stderr.write(`\r\x1b[2K${text}`),
    columns: stdout.isTTY ? (stdout.columns ?? 80) : Number.POSITIVE_INFINITY,
    colour: stdout.isTTY && !env.NO_COLOR && !dumb,
    live: stderr.isTTY && !dumb,
    interactive: stdin.isTTY && stdout.isTTY,
  };
}

export type Style = "good" | "bad" | "warn" | "strong" | "faint";

const styles = { good: "green", bad: "red", warn: "yellow", strong: "bold", faint: "dim" } as const;

/** `text` in a style, where the terminal has colour. */
export function styled(terminal: Pick<Terminal, "colour">, style: Style, text: string): string {
  return terminal.colour ? styleText(styles[style], text, { validateStream: false }) : text;
}
