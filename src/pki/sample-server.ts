/** A TLS server on this machine that answers each line with who sent it, for tests. */
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createInterface } from "node:readline";
import { connect, createServer, type Server, type TLSSocket } from "node:tls";
import { asAtollError } from "../errors.ts";
import { identityText } from "./identity.ts";
import { sampleFleet } from "./samples.ts";
import {
  type CallerRules,
  type Credentials,
  callerOf,
  clientTls,
  type ExpectedServer,
  type ServerTrust,
  serverTls,
  type TrustedRoots,
} from "./tls.ts";

export interface SampleServer {
  readonly port: number;
  /** Takes on other credentials and trust, without ending a connection. */
  change(own: Credentials, trust: ServerTrust): void;
  /** Serials that it refuses besides those in its lists. */
  readonly revoked: Set<string>;
  /** What it takes for now. */
  now: Date;
  close(): Promise<void>;
}

/** Starts a server. With `named` callers it hangs up on strangers, otherwise it tells each why it is refused. */
export async function startServer(
  own: Credentials,
  trust: ServerTrust,
  callers: "named" | "any" = "any",
): Promise<SampleServer> {
  const server = createServer(serverTls(own, trust, callers));
  const sockets = new Set<Socket>();
  const state = { revoked: new Set<string>(), now: new Date() };
  server.on("connection", (socket) => sockets.add(socket));
  server.on("secureConnection", (socket) => {
    socket.on("error", () => socket.destroy());
    const lines = createInterface({ input: socket });
    lines.on("line", () => socket.write(`${answer(socket, { fleet: sampleFleet, ...state })}\n`));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(state, {
    port: portOf(server),
    change: (other: Credentials, others: ServerTrust) =>
      server.setSecureContext(serverTls(other, others, callers)),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  });
}

export interface Line {
  readonly socket: TLSSocket;
  /** What the server says to one more line. */
  readonly ask: () => Promise<string>;
}

/** A connection to `port`. Errors: what Node's TLS says when it does not come about. */
export async function call(
  port: number,
  own: Credentials | null,
  trust: TrustedRoots,
  expected: Partial<ExpectedServer> = {},
): Promise<Line> {
  const options = clientTls(own, trust, { fleet: sampleFleet, ...expected });
  const socket = connect({ host: "127.0.0.1", port, ...options });
  await once(socket, "secureConnect");
  socket.on("error", () => socket.destroy());
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const ask = async (): Promise<string> => {
    socket.write("who am I?\n");
    const next = await lines.next();
    return next.done === true ? "hung up" : next.value;
  };
  return { socket, ask };
}

/** The answer to the one line of a connection made for it, or why there was none. */
export async function askOnce(...parameters: Parameters<typeof call>): Promise<string> {
  try {
    const { socket, ask } = await call(...parameters);
    try {
      return await ask();
    } finally {
      socket.destroy();
    }
  } catch (error) {
    return error instanceof Error && "code" in error
      ? `${String(error.code)}: ${error.message}`
      : String(error);
  }
}

function answer(socket: TLSSocket, rules: CallerRules): string {
  try {
    const caller = callerOf(socket, rules);
    return caller === null ? "nobody" : identityText(caller);
  } catch (error) {
    const { code, message } = asAtollError(error);
    return `${code}: ${message}`;
  }
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}
