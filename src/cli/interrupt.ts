import { exitCodes } from "../errors.ts";

/** A second Ctrl-C within this time is the same wish, come by another way (a parent process passes it on). */
const sameWishMs = 300;

/**
 * A signal that fires at the first Ctrl-C, SIGTERM or SIGHUP (the terminal was closed): the work that was given it
 * tidies up, and `say` is told so. People press again while that takes its time, so the second Ctrl-C only says what
 * a third one does: end the process on the spot. A terminal that is gone cannot press again: SIGHUP never ends it.
 */
export function interruptSignal(say: (line: string) => void): AbortSignal {
  const interrupt = new AbortController();
  let presses = 0;
  let last = Number.NEGATIVE_INFINITY;
  const press = (): void => {
    const now = performance.now();
    if (now - last < sameWishMs) return;
    last = now;
    presses += 1;
    if (presses === 1) say("interrupted; stopping what was started");
    else if (presses === 2) say("still stopping; a third Ctrl-C leaves the rest running");
    else process.exit(exitCodes.interrupted);
    interrupt.abort();
  };
  process.on("SIGINT", press);
  process.on("SIGTERM", press);
  process.on("SIGHUP", () => {
    if (presses === 0) press();
  });
  return interrupt.signal;
}
