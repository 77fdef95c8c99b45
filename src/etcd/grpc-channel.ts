import { AtollError } from "../errors.ts";
import type { CallOptions, Channel, Manner, Method, Stream } from "./channel.ts";
import { type Connection, connectTo, interrupted, type TlsMaterial } from "./connection.ts";
import { parseEndpoint } from "./endpoint.ts";
import { blamesEndpoint, EtcdError, type Failure, mayAskAgain } from "./failure.ts";
import { pause, pauseMs } from "./pause.ts";

export interface ChannelOptions {
  /** Where etcd's members take clients: `https://host:port`, `http://host:port`, `unix:///path`. At least one. */
  readonly endpoints: readonly string[];
  /** Needed by `https`. */
  readonly tls?: TlsMaterial;
  /** Milliseconds that a call may take with all its tries, where it does not say; 6,000 when absent. */
  readonly timeoutMs?: number;
}

export interface EtcdChannel extends Channel {
  /** From now on connects with these certificates. Streams break, and are resumed by who holds them with the new ones. */
  renewTls(tls: TlsMaterial): void;
  /** From now on uses these endpoints; the streams to others break. Errors: ETCD_ENDPOINT_INVALID. */
  setEndpoints(endpoints: readonly string[]): void;
  /** Breaks all streams; what was asked is still answered, what comes after it ends with INTERRUPTED. */
  close(): void;
}

const usualTimeoutMs = 6000;
/** A computer that is switched off answers nothing; the next endpoint should not wait for it long. */
const connectMs = 2000;
/** What can be asked twice is not left with a frozen member for its whole time. */
const triesInTime = 3;

/**
 * A channel over gRPC to one endpoint at a time: the one that last went well. It turns to the next when that one
 * cannot be reached, knows no leader, or leaves a request without answer. Nothing is connected before the first call.
 * Errors: ETCD_ENDPOINT_INVALID.
 */
export function openChannel(options: ChannelOptions): EtcdChannel {
  const state: State = {
    // Clients that all began with the first one named would all lie on one member.
    endpoints: shuffled(checked(options.endpoints)),
    tls: options.tls,
    timeoutMs: options.timeoutMs ?? usualTimeoutMs,
    connections: new Map(),
    closed: false,
  };
  return {
    unary: (method, request, call = {}) => unary(state, method, request, call),
    stream: (method, call = {}) => stream(state, method, call),
    renewTls(tls) {
      state.tls = tls;
      retireAll(state, "the certificates were renewed");
    },
    setEndpoints(endpoints) {
      const now = checked(endpoints);
      const kept = state.endpoints.filter((endpoint) => now.includes(endpoint));
      const added = shuffled(now.filter((endpoint) => !kept.includes(endpoint)));
      state.endpoints = [...kept, ...added];
      for (const endpoint of state.connections.keys()) {
        if (!now.includes(endpoint)) retire(state, endpoint, "it is no endpoint any more");
      }
    },
    close() {
      state.closed = true;
      retireAll(state, "the channel was closed");
    },
  };
}

interface State {
  /** The first is the one in use. */
  endpoints: readonly string[];
  tls: TlsMaterial | undefined;
  readonly timeoutMs: number;
  readonly connections: Map<string, Connection>;
  closed: boolean;
}

async function unary<Q, R>(state: State, method: Method<Q, R>, request: Q, call: CallOptions): Promise<R> {
  const { signal } = call;
  const timeoutMs = call.timeoutMs ?? state.timeoutMs;
  const end = performance.now() + timeoutMs;
  const tryMs = method.repeatable ? timeoutMs / triesInTime : timeoutMs;
  const needsLeader = call.needsLeader ?? method.needsLeader;
  for (let tries = 1; ; tries++) {
    if (state.closed || signal?.aborted) throw interrupted(method);
    const endpoint = call.endpoint ?? current(state);
    const left = Math.max(1, Math.min(tryMs, end - performance.now()));
    let failure: EtcdError;
    try {
      const connection = connectionTo(state, endpoint);
      await connect(state, connection, { method, signal }, Math.min(left, connectMs));
      const answerMs = Math.max(1, Math.min(tryMs, end - performance.now()));
      return await connection.unary({ method, needsLeader, signal }, request, answerMs);
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      failure = error;
    }
    const what = { method, grpc: failure.grpc, details: causeOf(failure), sent: failure.sent };
    if (blamesEndpoint(what)) turnFrom(state, endpoint);
    // The others are asked at once; then it is time that passes that helps.
    const rest = tries < state.endpoints.length && call.endpoint === undefined ? 0 : pauseMs(tries);
    if (!mayAskAgain(what) || performance.now() + rest >= end) throw failure;
    await pause(rest, `asking etcd (${method.path})`, signal);
  }
}

async function stream<Q, R>(state: State, method: Method<Q, R>, call: CallOptions): Promise<Stream<Q, R>> {
  const { signal } = call;
  const needsLeader = call.needsLeader ?? method.needsLeader;
  for (let tries = 1; ; tries++) {
    if (state.closed || signal?.aborted) throw interrupted(method);
    const endpoint = call.endpoint ?? current(state);
    try {
      const connection = connectionTo(state, endpoint);
      await connect(state, connection, { method, signal }, connectMs);
      return connection.stream({ method, needsLeader, signal }, (failure: Failure) => {
        if (blamesEndpoint(failure)) turnFrom(state, endpoint);
      });
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      turnFrom(state, endpoint);
      if (call.endpoint !== undefined || tries >= state.endpoints.length) throw error;
    }
  }
}

/** A connection that does not come about is thrown away: the next try begins afresh, without gRPC's own pause. */
async function connect(
  state: State,
  connection: Connection,
  call: { readonly method: Manner; readonly signal: AbortSignal | undefined },
  ms: number,
): Promise<void> {
  try {
    await connection.ready(call, ms);
  } catch (error) {
    if (error instanceof EtcdError && state.connections.get(connection.endpoint) === connection) {
      retire(state, connection.endpoint, "it cannot be reached");
    }
    throw error;
  }
}

function connectionTo(state: State, endpoint: string): Connection {
  const known = state.connections.get(endpoint);
  if (known) return known;
  const made = connectTo(endpoint, state.tls);
  state.connections.set(endpoint, made);
  return made;
}

function current(state: State): string {
  const [first] = state.endpoints;
  if (first === undefined)
    throw new AtollError("ETCD_ENDPOINT_INVALID", { endpoint: "(none)", problem: "none is named" });
  return first;
}

/** Puts `endpoint` last, if it is the one in use; who finds it broken later than others turns nothing. */
function turnFrom(state: State, endpoint: string): void {
  if (state.endpoints[0] === endpoint) state.endpoints = [...state.endpoints.slice(1), endpoint];
}

function retire(state: State, endpoint: string, why: string): void {
  const connection = state.connections.get(endpoint);
  state.connections.delete(endpoint);
  connection?.retire(why);
}

function retireAll(state: State, why: string): void {
  for (const endpoint of [...state.connections.keys()]) retire(state, endpoint, why);
}

function causeOf(error: EtcdError): string {
  return String(error.parameters.cause);
}

function checked(endpoints: readonly string[]): readonly string[] {
  for (const endpoint of endpoints) parseEndpoint(endpoint);
  return [...new Set(endpoints)];
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((item) => ({ item, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
