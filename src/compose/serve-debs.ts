import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { run } from "../process.ts";
import { debPath } from "./debs.ts";
import type { Lock } from "./lock.ts";

interface ServedDebs {
  /** Of the flat apt repository, with a slash at its end. */
  readonly url: string;
  close(): Promise<void>;
}

interface ServeOptions {
  readonly cache: string;
  readonly signal?: AbortSignal;
}

/**
 * Serves a lock's files out of the cache as a flat apt repository, to this computer alone: mmdebstrap of an ordinary user
 * reads as another user, who may not look into the cache. Needs `dpkg-deb`, which mmdebstrap needs too.
 * Errors: COMMAND_FAILED, INTERRUPTED.
 */
export async function serveDebs(lock: Lock, options: ServeOptions): Promise<ServedDebs> {
  const packages = Buffer.from(await packagesIndex(lock, options));
  const sha256 = createHash("sha256").update(packages).digest("hex");
  const release = [
    // mmdebstrap looks for essential packages in the suite by its name only.
    ...[`Suite: ${lock.suite}`, `Codename: ${lock.suite}`, `Date: ${new Date().toUTCString()}`],
    ...["SHA256:", ` ${sha256} ${packages.length} Packages`, ""],
  ];
  const texts = new Map([
    ["/Packages", packages],
    ["/Release", Buffer.from(release.join("\n"))],
  ]);
  const debs = new Map(
    lock.packages.map((locked) => [`/${locked.sha256}.deb`, debPath(options.cache, locked)]),
  );
  const server = createServer((request, response) => {
    const path = (request.url ?? "").replace(/^\/\.\//, "/");
    const text = texts.get(path);
    const deb = debs.get(path);
    if (text !== undefined) response.end(text);
    else if (deb !== undefined) {
      const file = createReadStream(deb);
      file.on("error", () => response.destroy());
      file.pipe(response);
    } else response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("a TCP server has no port");
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

const atOnce = 4;

/** A `Packages` file: each package's own control file, with where its own file is and its hash. */
async function packagesIndex(lock: Lock, { cache, signal }: ServeOptions): Promise<string> {
  const waiting = [...lock.packages];
  const stanzas: string[] = [];
  const worker = async (): Promise<void> => {
    for (let locked = waiting.shift(); locked; locked = waiting.shift()) {
      const { stdout } = await run(["dpkg-deb", "--field", debPath(cache, locked)], {
        ...{ step: "reading packages", hint: "package dpkg" },
        ...(signal && { signal }),
      });
      const { sha256, size } = locked;
      stanzas.push(`${stdout.trimEnd()}\nFilename: ./${sha256}.deb\nSize: ${size}\nSHA256: ${sha256}\n`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return stanzas.toSorted().join("\n");
}
