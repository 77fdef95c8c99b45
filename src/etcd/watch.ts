import type { Channel, Stream } from "./channel.ts";
import { EtcdError, mayPass } from "./failure.ts";
import { WatchCreateRequest, type WatchRequest, type WatchResponse } from "./generated/etcd.ts";
import { type Keys, wireKeys } from "./keys.ts";
import { count } from "./kv.ts";
import { methods } from "./methods.ts";
import { pause, pauseMs } from "./pause.ts";
import { type Position, positionAt, receive, resumed, type WatchEvent } from "./watch-position.ts";

export interface WatchOptions {
  /** The first revision to see: that of the list it goes on from, and one. */
  readonly from: number;
  /** Give what was before each change, too. */
  readonly previous?: boolean;
  /** Only puts, or only deletes; both when absent. */
  readonly only?: "puts" | "deletes";
  /**
   * Milliseconds after which etcd is asked how far it is; it tells by itself every ten minutes when absent. Servers
   * before 3.4.25 and 3.5.8 answer too soon (etcd issue 15220): leave it away for them.
   */
  readonly progressMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Told each time when the stream broke. The watch goes on by itself, and loses nothing. */
  readonly onInterruption?: (error: unknown) => void;
}

/**
 * Every change of `keys` from a revision on, once and in order, over as many streams as it takes. Ends after an event
 * `compacted` or `rewound`, and when the signal fires; leaving the loop ends it, too.
 * Errors: EtcdError when etcd refuses it (ETCD_REFUSED); INTERRUPTED when the channel was closed.
 */
export async function* watch(
  channel: Channel,
  keys: Keys,
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void> {
  const { signal } = options;
  let position = positionAt(options.from);
  for (let tries = 0; !signal?.aborted; ) {
    try {
      const stream = await channel.stream(methods.watch, { signal });
      stream.send(creation(keys, position.next, options));
      const asking = askForProgress(stream, options.progressMs);
      try {
        for await (const message of stream) {
          tries = 0;
          const step = receive(position, message);
          position = step.position;
          const event =
            step.event ??
            (step.outcome === "behind" ? await rewound(channel, keys, position, options) : null);
          if (event) yield event;
          if (event?.kind === "compacted" || event?.kind === "rewound") return;
          if (step.outcome === "reopen") break;
          if (typeof step.outcome === "object") throw refusal(step.outcome.refused);
        }
      } finally {
        clearInterval(asking);
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (!mayPass(error)) throw error;
      options.onInterruption?.(error);
    }
    position = resumed(position);
    tries += 1;
    await pause(pauseMs(tries), "watching", signal).catch(() => {});
  }
}

function creation(keys: Keys, next: number, options: WatchOptions): WatchRequest {
  const filters = { puts: [1], deletes: [0], both: [] } as const;
  const value = WatchCreateRequest.fromPartial({
    ...wireKeys(keys),
    startRevision: BigInt(next),
    prevKv: options.previous ?? false,
    filters: [...filters[options.only ?? "both"]],
    progressNotify: true,
    fragment: true,
  });
  return { requestUnion: { $case: "createRequest", value } };
}

function askForProgress(
  stream: Stream<WatchRequest, WatchResponse>,
  everyMs: number | undefined,
): NodeJS.Timeout | undefined {
  if (everyMs === undefined) return undefined;
  return setInterval(() => stream.send({ requestUnion: { $case: "progressRequest", value: {} } }), everyMs);
}

/** A member may be behind for a moment; only what the majority says shows that the whole of etcd went back. */
async function rewound(
  channel: Channel,
  keys: Keys,
  { next }: Position,
  { signal }: WatchOptions,
): Promise<WatchEvent | null> {
  const { revision } = await count(channel, keys, { signal });
  return revision < next - 1 ? { kind: "rewound", revision } : null;
}

function refusal(details: string): EtcdError {
  return new EtcdError({ method: methods.watch, grpc: "PERMISSION_DENIED", details, sent: false });
}
