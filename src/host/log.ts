/** The daemon's own log lines: to standard output, where systemd reads the priority before each (sd-daemon(3)). */
export interface Log {
  info(text: string): void;
  warning(text: string): void;
  error(text: string): void;
}

export function standardLog(write: (line: string) => void): Log {
  const at = (priority: number) => (text: string) => {
    for (const line of text.split("\n")) write(`<${priority}>${line}\n`);
  };
  return { info: at(6), warning: at(4), error: at(3) };
}
