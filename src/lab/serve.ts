import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join, sep } from "node:path";
import { pipeline } from "node:stream/promises";

/** An HTTP server for the files below `folder`, read only, at paths that begin with `prefix`. Not listening yet. */
export function serveFolder(folder: string, prefix: string): Server {
  return createServer((request, response) => {
    answer(folder, prefix, request, response).catch((error: unknown) => {
      // The other end went away, or a file did between two looks: either way this one answer is over.
      console.error(`${request.url}: ${String(error)}`);
      response.destroy();
    });
  });
}

async function answer(
  folder: string,
  prefix: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  const path = requestPath(request.url ?? "/");
  if (path === "/") {
    response.writeHead(200, { "content-type": "text/plain" }).end("Atoll's lab: the trees are in /repo\n");
    return;
  }
  const file = path?.startsWith(`${prefix}/`) ? await findFile(folder, path.slice(prefix.length + 1)) : null;
  if (!file) {
    response.writeHead(404).end();
    return;
  }
  const { path: found, size, etag } = file;
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304, { etag }).end();
    return;
  }
  response.writeHead(200, { "content-length": size, "content-type": "application/octet-stream", etag });
  if (request.method === "HEAD") response.end();
  else await pipeline(createReadStream(found), response);
}

/** The path of a request, decoded; null when it cannot be. */
export function requestPath(url: string): string | null {
  try {
    return decodeURIComponent(new URL(url, "http://origin").pathname);
  } catch {
    return null;
  }
}

interface FoundFile {
  readonly path: string;
  readonly size: number;
  readonly etag: string;
}

/** The file at `path` below `folder`; null when there is none, or it lies outside by way of `..` or a link. */
export async function findFile(folder: string, path: string): Promise<FoundFile | null> {
  try {
    const root = await realpath(folder);
    const found = await realpath(join(root, path));
    if (!found.startsWith(root + sep)) return null;
    const facts = await stat(found);
    const etag = `"${facts.ino}-${facts.mtimeMs}-${facts.size}"`;
    return facts.isFile() ? { path: found, size: facts.size, etag } : null;
  } catch {
    return null;
  }
}
