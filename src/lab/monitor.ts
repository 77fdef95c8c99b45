import { createConnection, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { AtollError } from "../errors.ts";

interface MonitorOptions {
  readonly machine: string;
  readonly signal?: AbortSignal;
}

/** How long QEMU may take to answer; an emulated machine under load is slow, its monitor is not. */
const answerMs = 10_000;

/**
 * Sends one command to a machine's QEMU over its machine protocol (QMP) and gives what it returns.
 * Errors: LAB_MONITOR_FAILED when QEMU cannot be reached, refuses, or does not answer; INTERRUPTED.
 */
export async function askQemu(
  socketPath: string,
  command:
    | "qmp_capabilities"
    | "query-status"
    | "system_powerdown"
    | "system_reset"
    | "quit"
    | "stop"
    | "cont",
  options: MonitorOptions,
): Promise<unknown> {
  const socket = createConnection(socketPath);
  try {
    return await converse(socket, command, options);
  } catch (error) {
    if (options.signal?.aborted) throw new AtollError("INTERRUPTED", { step: `asking ${options.machine}` });
    const cause = error instanceof Error ? error.message : String(error);
    throw new AtollError("LAB_MONITOR_FAILED", { machine: options.machine, command, cause }, error);
  } finally {
    socket.destroy();
  }
}

async function converse(socket: Socket, command: string, { signal }: MonitorOptions): Promise<unknown> {
  const limit = AbortSignal.timeout(answerMs);
  const stop = signal ? AbortSignal.any([signal, limit]) : limit;
  const onStop = (): void => {
    socket.destroy(new Error(limit.aborted ? "no answer" : "interrupted"));
  };
  stop.addEventListener("abort", onStop, { once: true });
  let failure: Error | undefined;
  socket.on("error", (error) => {
    failure = error;
  });
  try {
    // QMP: greeting; qmp_capabilities and its reply; then commands. Events may come at any time between.
    const steps = ["qmp_capabilities", command];
    for await (const line of createInterface({ input: socket })) {
      const message = parseMessage(line);
      if ("event" in message) continue;
      if ("error" in message) throw new Error(JSON.stringify(message.error));
      const next = steps.shift();
      if (!next) return message.return;
      socket.write(`${JSON.stringify({ execute: next })}\n`);
    }
    // QEMU closes the connection as it quits, sometimes before its reply is out.
    if (command === "quit" && !failure) return undefined;
    throw failure ?? new Error("the connection was closed");
  } finally {
    stop.removeEventListener("abort", onStop);
  }
}

interface Message {
  readonly event?: unknown;
  readonly error?: unknown;
  readonly return?: unknown;
}

function parseMessage(line: string): Message {
  const value: unknown = JSON.parse(line);
  if (typeof value !== "object" || value === null) throw new Error(`not a QMP message: ${line}`);
  return value;
}
