import type { ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import { AtollError } from "../errors.ts";
import type { Manner, Stream } from "./channel.ts";
import { EtcdError, type Failure, failureAfterSending } from "./failure.ts";

/** So many messages wait here to be read before the server is asked to wait. */
const roomFor = 16;

interface StreamOptions {
  readonly method: Manner;
  readonly signal: AbortSignal | undefined;
  /** Called when it broke by itself or was abandoned, not when it was cancelled. */
  readonly onBroken: (failure: Failure) => void;
  /** Called once, however it ends. */
  readonly onEnd: () => void;
}

/**
 * A gRPC stream as one to loop over. gRPC's own tells of an error by an event that nobody may be listening to at that
 * moment; this one keeps it for who reads next.
 */
export function openStream<Q, R>(raw: ClientDuplexStream<Q, R>, options: StreamOptions): Stream<Q, R> {
  const { method, signal, onBroken, onEnd } = options;
  const waiting: R[] = [];
  let outcome: "open" | "over" | Error = "open";
  let wake = (): void => {};

  const finish = (how: "over" | Error): void => {
    if (outcome !== "open") return;
    outcome = how;
    signal?.removeEventListener("abort", abort);
    raw.cancel();
    onEnd();
    wake();
  };
  const fail = (failure: Failure): void => {
    if (outcome !== "open") return;
    finish(new EtcdError(failure));
    onBroken(failure);
  };
  const abort = (): void =>
    finish(new AtollError("INTERRUPTED", { step: `reading from etcd (${method.path})` }));

  raw.on("data", (message: R) => {
    if (outcome !== "open") return;
    waiting.push(message);
    if (waiting.length >= roomFor) raw.pause();
    wake();
  });
  raw.on("error", (error: ServiceError) => fail(failureAfterSending(method, error)));
  raw.on("end", () => finish("over"));
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { once: true });

  async function* read(): AsyncGenerator<R, void> {
    try {
      for (;;) {
        const message = waiting.shift();
        if (message !== undefined) {
          yield message;
          continue;
        }
        if (outcome === "over") return;
        if (outcome !== "open") throw outcome;
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        raw.resume();
        await woken;
      }
    } finally {
      finish("over");
    }
  }

  return {
    send: (message) => {
      if (outcome === "open") raw.write(message);
    },
    end: () => {
      if (outcome === "open") raw.end();
    },
    cancel: () => {
      waiting.length = 0;
      finish("over");
    },
    abandon: (why) => {
      waiting.length = 0;
      fail({ method, grpc: "UNAVAILABLE", details: why, sent: true });
    },
    [Symbol.asyncIterator]: read,
  };
}
