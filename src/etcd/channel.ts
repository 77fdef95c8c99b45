/**
 * What everything here asks of the wire. `openChannel` (grpc-channel.ts) gives one; another that keeps the same promises
 * can take its place.
 */

/** How messages of one kind become bytes and back; the generated codec has this shape. */
interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** What matters of a method to who carries its messages without reading them. */
export interface Manner {
  /** As it goes over the wire: `/etcdserverpb.KV/Range`. */
  readonly path: string;
  /** Doing it twice does no more than doing it once: it is asked again where no answer came. */
  readonly repeatable: boolean;
  /** A member that knows no leader refuses it at once, and another member is asked. */
  readonly needsLeader: boolean;
}

/** One method of etcd's interface. */
export interface Method<Q, R> extends Manner {
  readonly request: Codec<Q>;
  readonly response: Codec<R>;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for all tries together; the channel's own when absent. */
  readonly timeoutMs?: number | undefined;
  /** The only endpoint to ask; any of the channel's when absent. It need not be one of the channel's. */
  readonly endpoint?: string | undefined;
  /** Overrides the method's own. */
  readonly needsLeader?: boolean | undefined;
}

export interface Channel {
  /**
   * Asks once, and gives the answer. Asks again, elsewhere, as long as the request was not handled; never once a request
   * may have been and is not `repeatable`.
   * Errors: EtcdError; INTERRUPTED (the signal, or the channel was closed).
   */
  unary<Q, R>(method: Method<Q, R>, request: Q, options?: CallOptions): Promise<R>;
  /**
   * Opens a stream to one endpoint, trying each once. When it breaks, the next one is opened elsewhere.
   * Errors, also of reading from the stream: as for `unary`.
   */
  stream<Q, R>(method: Method<Q, R>, options?: CallOptions): Promise<Stream<Q, R>>;
}

/** A stream of messages in both directions. Leaving a loop over it ends it. */
export interface Stream<Q, R> extends AsyncIterable<R> {
  send(message: Q): void;
  /** Nothing more will be sent. */
  end(): void;
  /** Breaks it off: nothing more comes. Reading from it then ends without an error. */
  cancel(): void;
  /** Breaks it off with an error, and turns from its endpoint: for who found it silent. */
  abandon(why: string): void;
}
