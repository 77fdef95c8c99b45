import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { AtollError } from "../errors.ts";
import type {
  ErrorBody,
  ErrorResponse,
  HealthResponse,
  HistoryResponse,
  HostRequests,
  HostVerb,
  Operation,
  OperationEvent,
  StatusResponse,
  TreeDiff,
  VersionResponse,
} from "./types.ts";

/** A failure that a host's daemon told of, as it told it. */
export class HostFailure extends Error {
  override readonly name = "HostFailure";
  readonly body: ErrorBody;

  constructor(body: ErrorBody) {
    super(body.message);
    this.body = body;
  }
}

/** The API of one host's daemon. Every call may fail with a HostFailure, HOST_UNREACHABLE or INTERRUPTED. */
export interface HostClient {
  /** The host, for people. */
  readonly name: string;
  version(): Promise<VersionResponse>;
  status(): Promise<StatusResponse>;
  history(limit: number): Promise<HistoryResponse>;
  health(fresh: boolean): Promise<HealthResponse>;
  diff(from: string, to?: string): Promise<TreeDiff>;
  begin<V extends HostVerb>(verb: V, body: HostRequests[V]): Promise<Operation>;
  operation(id: string): Promise<Operation>;
  /** The events of an operation from its start; ends when the operation does, or the connection. */
  events(id: string): AsyncIterable<OperationEvent>;
  cancel(id: string): Promise<Operation>;
}

interface ClientOptions {
  readonly name: string;
  /** Unix socket of the daemon, or one that leads to it. */
  readonly socketPath: string;
  /** Ends questions. Not what has to do with an operation: Ctrl-C asks it to stop, and its end is still told. */
  readonly signal?: AbortSignal;
  /** Milliseconds without an answer after which the daemon is given up; a minute when absent, 0 for never. */
  readonly answerWithin?: number;
}

/** A daemon answers in well under a second; an emulated machine that has just started may take its time. */
const usualAnswerMs = 60_000;

/** A client of the daemon behind `socketPath`. Opens nothing by itself. */
export function hostClient(options: ClientOptions): HostClient {
  const steadfast: ClientOptions = { name: options.name, socketPath: options.socketPath };
  const call = <T extends object>(method: string, path: string, body?: unknown): Promise<T> =>
    callJson<T>(options, method, path, body);
  return {
    name: options.name,
    version: () => call("GET", "/v1/version"),
    status: () => call("GET", "/v1/host"),
    history: (limit) => call("GET", `/v1/host/history?limit=${limit}`),
    // A machine that is unwell takes the whole of its grace, and of its scripts' limits, to say so.
    health: (fresh) =>
      fresh
        ? callJson({ ...options, answerWithin: 0 }, "GET", "/v1/host/health?fresh=true")
        : call("GET", "/v1/host/health"),
    diff: (from, to) =>
      call("GET", `/v1/host/diff?${new URLSearchParams({ from, ...(to && { to }) }).toString()}`),
    begin: (verb, body) => call("POST", `/v1/host/${verb}`, body),
    operation: (id) => callJson(steadfast, "GET", `/v1/operations/${id}`),
    events: (id) => events(steadfast, id),
    cancel: (id) => callJson(steadfast, "DELETE", `/v1/operations/${id}`),
  };
}

async function callJson<T extends object>(
  options: ClientOptions,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  const response = await send(options, method, path, body);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk);
  } catch (error) {
    throw unreachable(options, error);
  }
  const value = parse<T>(options, Buffer.concat(chunks).toString("utf8"));
  if (isError(value)) throw new HostFailure(value.error);
  return value;
}

/** What a daemon sends is of the types that its own code has; here it only has to be JSON. */
function parse<T extends object>(options: ClientOptions, text: string): T | ErrorResponse {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreachable(options, new Error("it answers, but not as Atoll's daemon does", { cause: error }));
  }
}

async function* events(options: ClientOptions, id: string): AsyncIterable<OperationEvent> {
  const response = await send(options, "GET", `/v1/operations/${id}/events`);
  try {
    for await (const line of createInterface({ input: response })) {
      if (!line.trim()) continue;
      const value = parse<OperationEvent>(options, line);
      if (isError(value)) throw new HostFailure(value.error);
      yield value;
    }
  } catch (error) {
    if (error instanceof HostFailure) throw error;
    throw unreachable(options, error);
  }
}

function isError(value: object): value is ErrorResponse {
  return "error" in value && !("id" in value) && !("type" in value);
}

async function send(
  options: ClientOptions,
  method: string,
  path: string,
  body?: unknown,
): Promise<IncomingMessage> {
  // Loaded here: it takes longer to load than a command that asks no host takes in all.
  const { request } = await import("node:http");
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const call = request(
      {
        socketPath: options.socketPath,
        method,
        path,
        headers: {
          host: "atoll",
          ...(text && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        },
        ...(options.signal && { signal: options.signal }),
      },
      (response) => {
        // From here on silence is no failure: an operation may have nothing to tell for minutes.
        call.setTimeout(0);
        resolve(response);
      },
    );
    call.setTimeout(options.answerWithin ?? usualAnswerMs, () =>
      call.destroy(new Error("its daemon does not answer")),
    );
    call.on("error", (error) => reject(unreachable(options, error)));
    call.end(text);
  });
}

function unreachable({ name, signal }: ClientOptions, error: unknown): AtollError {
  if (signal?.aborted) return new AtollError("INTERRUPTED", { step: `asking ${name}` }, error);
  return new AtollError("HOST_UNREACHABLE", { host: name, cause: cause(error) }, error);
}

/** What a failed call means: the socket of a daemon, or of an SSH connection to one. */
function cause(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
    case "ECONNREFUSED":
      return "its daemon (atolld.service) does not run";
    case "EACCES":
      return "this account may not use its socket (be root, or in the group atoll)";
    case "ECONNRESET":
    case "EPIPE":
      return "the connection broke, or its daemon (atolld.service) does not run";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
