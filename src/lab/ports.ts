import { createServer } from "node:net";
import { isSystemError } from "../errors.ts";

/**
 * A TCP port of 127.0.0.1 that nobody listens on and that is not in `taken`: `wish` if that is one, else the next
 * free one above it, else (and without a wish) any.
 */
export async function freePort(taken: ReadonlySet<number>, wish?: number): Promise<number> {
  if (wish !== undefined) {
    for (let port = wish; port < Math.min(wish + 100, 65536); port++) {
      if (!taken.has(port) && (await tryPort(port)) === port) return port;
    }
  }
  for (;;) {
    const port = await tryPort(0);
    if (port !== null && !taken.has(port)) return port;
  }
}

/** Listens on `port` (0: any) for a moment; the port, or null when it is not to be had. */
function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error) => {
      if (isSystemError(error, "EADDRINUSE", "EACCES")) resolve(null);
      else reject(error);
    });
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      const got = typeof address === "object" && address ? address.port : null;
      server.close(() => resolve(got));
    });
  });
}
