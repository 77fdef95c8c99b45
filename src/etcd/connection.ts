import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { Client, connectivityState, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { AtollError } from "../errors.ts";
import type { Manner, Method, Stream } from "./channel.ts";
import { parseEndpoint } from "./endpoint.ts";
import { EtcdError, type Failure, failureAfterSending, failureBeforeSending } from "./failure.ts";
import { methods } from "./methods.ts";
import { openStream } from "./stream.ts";

/** Who we are to etcd, and whom we believe: all three in PEM. */
export interface TlsMaterial {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** The name that the servers' certificates bear, where it is not the endpoint's. */
  readonly serverName?: string;
}

/**
 * etcd ends connections that ping more often than every 5 s (`--grpc-keepalive-min-time`), and pings without a call.
 * So a member that froze is known by its silence after 8 s at most.
 */
const pingEveryMs = 6000;
const pingTimeoutMs = 2000;
/** How long to wait for a reason why there is no connection. */
const reasonMs = 1000;

const clientOptions = {
  "grpc.keepalive_time_ms": pingEveryMs,
  "grpc.keepalive_timeout_ms": pingTimeoutMs,
  "grpc.keepalive_permit_without_calls": 0,
  // etcd limits requests, not answers: a page of large values is many megabytes.
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  // Our own: what is decided by endpoint must not be shared or retried behind our back.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1000,
} as const;

/** What there is to know about a call beside its messages. */
interface Wish {
  readonly method: Manner;
  readonly signal: AbortSignal | undefined;
}

interface Call<Q, R> extends Wish {
  readonly method: Method<Q, R>;
  readonly needsLeader: boolean;
}

/** The connection to one endpoint. It connects when it is first used, and again after it broke. */
export interface Connection {
  readonly endpoint: string;
  /** Waits for the connection, `ms` at most. Errors: EtcdError (not sent), INTERRUPTED. */
  ready(wish: Wish, ms: number): Promise<void>;
  /** Errors: EtcdError, INTERRUPTED. */
  unary<Q, R>(call: Call<Q, R>, request: Q, ms: number): Promise<R>;
  stream<Q, R>(call: Call<Q, R>, onBroken: (failure: Failure) => void): Stream<Q, R>;
  /** Breaks its streams with an error that says `why`; what was asked is still answered, nothing new is taken. */
  retire(why: string): void;
}

/** Errors: ETCD_ENDPOINT_INVALID; ETCD_UNREACHABLE where certificates are needed and there are none, or are broken. */
export function connectTo(endpoint: string, tls: TlsMaterial | undefined): Connection {
  const client = clientOf(endpoint, tls);
  const streams = new Set<{ abandon(why: string): void }>();
  return {
    endpoint,
    ready: (wish, ms) => ready(client, wish, ms),
    unary: (call, request, ms) => unary(client, call, request, ms),
    stream(call, onBroken) {
      const { method, signal } = call;
      const raw = client.makeBidiStreamRequest(
        method.path,
        serializer(method.request),
        (bytes: Buffer) => method.response.decode(bytes),
        metadataOf(call.needsLeader),
      );
      const stream = openStream(raw, { method, signal, onBroken, onEnd: () => streams.delete(stream) });
      streams.add(stream);
      return stream;
    },
    retire(why) {
      for (const stream of [...streams]) stream.abandon(why);
      client.close();
    },
  };
}

function clientOf(endpoint: string, tls: TlsMaterial | undefined): Client {
  const { target, secure, address } = parseEndpoint(endpoint);
  if (!secure) return new Client(target, credentials.createInsecure(), clientOptions);
  const problem = (cause: string, error?: unknown) =>
    new AtollError("ETCD_UNREACHABLE", { method: endpoint, cause }, error);
  if (tls === undefined) throw problem("https needs certificates, and there are none");
  const pem = (text: string): Buffer => Buffer.from(text);
  // gRPC would send an address as the name of the server, which TLS does not allow (RFC 6066), and Node warns of. So
  // another name is sent, that etcd does not look at, and the certificate is checked for the address.
  const byAddress = tls.serverName === undefined ? address : null;
  const verify = byAddress !== null && {
    checkServerIdentity: (_: string, certificate: PeerCertificate) =>
      checkServerIdentity(byAddress, certificate),
  };
  const serverName = tls.serverName ?? (byAddress === null ? undefined : "etcd");
  try {
    const trust = credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert), verify || {});
    const named = serverName !== undefined && { "grpc.ssl_target_name_override": serverName };
    return new Client(target, trust, { ...clientOptions, ...named });
  } catch (error) {
    throw problem(error instanceof Error ? error.message : String(error), error);
  }
}

function serializer<T>(codec: Method<T, unknown>["request"]): (message: T) => Buffer {
  return (message) => {
    const bytes = codec.encode(message).finish();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function metadataOf(needsLeader: boolean): Metadata {
  const metadata = new Metadata();
  if (needsLeader) metadata.set("hasleader", "true");
  return metadata;
}

function unary<Q, R>(client: Client, call: Call<Q, R>, request: Q, ms: number): Promise<R> {
  const { method, signal } = call;
  return new Promise((resolve, reject) => {
    const cancel = (): void => raw.cancel();
    const done = (error: ServiceError | null, answer?: R): void => {
      signal?.removeEventListener("abort", cancel);
      if (error === null && answer !== undefined) resolve(answer);
      else if (signal?.aborted) reject(interrupted(method));
      else reject(new EtcdError(failureAfterSending(method, error ?? { code: 13, details: "no answer" })));
    };
    const decode = (bytes: Buffer): R => method.response.decode(bytes);
    const options = { deadline: Date.now() + ms };
    const metadata = metadataOf(call.needsLeader);
    const raw = client.makeUnaryRequest(
      method.path,
      serializer(method.request),
      decode,
      request,
      metadata,
      options,
      done,
    );
    if (signal?.aborted) cancel();
    else signal?.addEventListener("abort", cancel, { once: true });
  });
}

async function ready(client: Client, { method, signal }: Wish, ms: number): Promise<void> {
  const channel = client.getChannel();
  const deadline = Date.now() + ms;
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (signal?.aborted) throw interrupted(method);
    if (state === connectivityState.READY) return;
    const failed = state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN;
    if (failed || Date.now() >= deadline) {
      const details = failed ? await reason(client) : `no connection within ${ms} ms`;
      throw new EtcdError(failureBeforeSending(method, details));
    }
    await new Promise<void>((resolve) => {
      const changed = (): void => {
        signal?.removeEventListener("abort", changed);
        resolve();
      };
      signal?.addEventListener("abort", changed, { once: true });
      channel.watchConnectivityState(state, deadline, changed);
    });
  }
}

/** Why there is no connection: gRPC tells it only to a call that fails for it. This one does no harm if it goes through. */
async function reason(client: Client): Promise<string> {
  const call = { method: methods.status, needsLeader: false, signal: undefined };
  const said = await unary(client, call, {}, reasonMs).then(
    () => "the connection broke",
    (error: unknown) => (error instanceof AtollError ? String(error.parameters.cause) : String(error)),
  );
  return said
    .replace(/^No connection established\. Last error: (Error: )?/, "")
    .replace(/\.? ?Resolution note: ?$/, "");
}

export function interrupted(method: Manner): AtollError {
  return new AtollError("INTERRUPTED", { step: `asking etcd (${method.path})` });
}
