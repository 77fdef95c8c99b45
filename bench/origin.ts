import type { Socket } from "node:net";
import { serveFolder } from "../src/lab/serve.ts";
import { timed } from "./harness.ts";

/** What went over the wire, and how long it took. */
export interface Traffic {
  /** Bytes that the server sent, with the headers of HTTP. */
  readonly bytes: number;
  readonly requests: number;
  readonly seconds: number;
}

/** A folder served over HTTP on 127.0.0.1 below /files, with a meter. */
export interface Origin {
  readonly port: number;
  /** Does `work`, and tells what it made the server send. */
  metered(work: () => Promise<void>): Promise<Traffic>;
  close(): Promise<void>;
}

/** Serves `folder` until closed. */
export async function openOrigin(folder: string): Promise<Origin> {
  const server = serveFolder(folder, "/files");
  const open = new Set<Socket>();
  let ended = 0;
  let requests = 0;
  server.on("request", () => {
    requests += 1;
  });
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => {
      open.delete(socket);
      ended += socket.bytesWritten;
    });
  });
  const sent = (): number => [...open].reduce((sum, { bytesWritten }) => sum + bytesWritten, ended);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port to listen on");
  return {
    port: address.port,
    metered: async (work) => {
      const before = { bytes: sent(), requests };
      const { seconds } = await timed(work);
      return { bytes: sent() - before.bytes, requests: requests - before.requests, seconds };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
