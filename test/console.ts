import { watch } from "node:fs";
import { open } from "node:fs/promises";

/** Reads what a machine says on its serial console, from the file to which QEMU appends it. */
export class Console {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Where the console is now: what is said from here on is found by `waitFor` from this mark. */
  async mark(): Promise<number> {
    return (await this.read(0)).length;
  }

  /** All that was said since `mark`. */
  async read(mark: number): Promise<string> {
    const handle = await open(this.#file, "a+");
    try {
      const { size } = await handle.stat();
      const bytes = Buffer.alloc(Math.max(0, size - mark));
      await handle.read(bytes, 0, bytes.length, mark);
      return bytes.toString("latin1");
    } finally {
      await handle.close();
    }
  }

  /**
   * Waits until `pattern` was said after `mark`, and gives the match. Throws the reason of `signal` with the console's
   * last lines when that fires first.
   */
  async waitFor(pattern: RegExp, mark: number, signal: AbortSignal): Promise<RegExpExecArray> {
    for (;;) {
      // The watch stands before the look, so that nothing said between the two is missed.
      const changed = this.#nextChange(signal);
      try {
        const said = await this.read(mark);
        const match = pattern.exec(said);
        if (match) return match;
        if (signal.aborted)
          throw new Error(`waited for ${pattern} on the console in vain; it ends with:\n${tail(said)}`);
        await changed.happened;
      } finally {
        changed.forget();
      }
    }
  }

  #nextChange(signal: AbortSignal): { happened: Promise<void>; forget: () => void } {
    const watcher = watch(this.#file);
    const happened = new Promise<void>((resolve) => {
      watcher.once("change", () => resolve());
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    return { happened, forget: () => watcher.close() };
  }
}

function tail(text: string): string {
  return text.split(/\r?\n/).slice(-25).join("\n");
}
