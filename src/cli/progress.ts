import { performance } from "node:perf_hooks";
import { stripVTControlCharacters } from "node:util";
import type { Progress } from "../progress.ts";
import { cut } from "./output.ts";
import { styled, type Terminal } from "./terminal.ts";

interface DrawnProgress extends Progress {
  /** Says a whole line that stays, above the running step. */
  note(text: string): void;
  /** The running step is done. */
  done(): void;
  /** The running step did not end well; what follows tells why. */
  failed(): void;
}

/** Steps that take longer show for how long, in milliseconds. */
const showElapsedAfter = 2000;
const redrawEvery = 100;

/** Progress as commands use it: they say steps and notes, and how the last step ended is seen from how `work` did. */
export type CommandProgress = Pick<DrawnProgress, "step" | "detail" | "note">;

/** Runs `work` with its progress shown; its last step is done, or has failed, when it ends. */
export async function withProgress<T>(
  terminal: Terminal,
  work: (progress: CommandProgress) => Promise<T>,
): Promise<T> {
  const progress = drawProgress(terminal);
  try {
    const result = await work(progress);
    progress.done();
    return result;
  } catch (error) {
    progress.failed();
    throw error;
  }
}

/**
 * Shows progress on standard error. On a terminal: one live line for the running step, with its details and its time,
 * which is left behind as a line of its own when it is done. Elsewhere: one plain line as each step begins.
 */
export function drawProgress(terminal: Terminal, now: () => number = () => performance.now()): DrawnProgress {
  return terminal.live ? liveProgress(terminal, now) : plainProgress(terminal);
}

function plainProgress(terminal: Terminal): DrawnProgress {
  return {
    step: (step) => terminal.err(step),
    detail: () => {},
    note: (text) => terminal.err(text),
    done: () => {},
    failed: () => {},
  };
}

function liveProgress(terminal: Terminal, now: () => number): DrawnProgress {
  let running: { readonly step: string; readonly since: number; detail: string } | null = null;
  let timer: NodeJS.Timeout | undefined;
  const columns = Math.min(terminal.columns, process.stderr.columns ?? 80);

  const elapsed = (since: number): string => {
    const milliseconds = now() - since;
    return milliseconds < showElapsedAfter ? "" : ` ${Math.floor(milliseconds / 1000)} s`;
  };
  const draw = (): void => {
    if (!running) return;
    const time = elapsed(running.since);
    const detail = running.detail ? `  ${running.detail}` : "";
    // One column stays free: a full line would wrap, and the next drawing would not cover it.
    const text = cut(`· ${running.step}${time}${detail}`, columns - 1);
    const head = `· ${running.step}${time}`.length;
    terminal.redraw(text.slice(0, head) + styled(terminal, "faint", text.slice(head)));
  };
  const end = (mark: string): void => {
    if (!running) return;
    clearInterval(timer);
    terminal.redraw(`${mark} ${running.step}${styled(terminal, "faint", elapsed(running.since))}\n`);
    running = null;
  };
  return {
    step(step) {
      end(styled(terminal, "good", "✓"));
      running = { step, since: now(), detail: "" };
      draw();
      timer = setInterval(draw, redrawEvery);
      timer.unref();
    },
    detail(text) {
      if (running) running.detail = stripVTControlCharacters(text).replaceAll(/\s+/g, " ").trim();
    },
    note(text) {
      if (running) terminal.redraw("");
      terminal.err(text);
      draw();
    },
    done: () => end(styled(terminal, "good", "✓")),
    failed: () => end(styled(terminal, "bad", "✗")),
  };
}
