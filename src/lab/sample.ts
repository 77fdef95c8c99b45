import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Toolbox } from "../compose/toolbox.ts";
import { projectRoot } from "../paths.ts";
import { type ImageEntry, writeOciImage } from "./oci.ts";

const sources = join(projectRoot, "examples", "sample-web");

/** Where the sample container listens, inside its machine. */
export const samplePort = 8080;

/**
 * Makes the image of the sample web container as an OCI image layout in `directory`: the toolbox's static busybox
 * (Debian's busybox-static) and a page. Gives the digest of its manifest.
 */
export async function makeSampleImage(toolbox: Toolbox, directory: string): Promise<string> {
  const read = (name: string): Promise<Buffer> => readFile(join(sources, name));
  const program = (path: string, content: Uint8Array): ImageEntry => ({
    path,
    kind: "file",
    mode: 0o755,
    content,
  });
  const applets = ["cat", "cut", "httpd", "sed", "sh", "tr"];
  return writeOciImage(
    directory,
    [
      program("/bin/busybox", await readFile(join(toolbox.root, "usr/bin/busybox"))),
      ...applets.map((name): ImageEntry => ({ path: `/bin/${name}`, kind: "link", target: "busybox" })),
      program("/start.sh", await read("start.sh")),
      program("/srv/www/cgi-bin/index.cgi", await read("index.cgi")),
    ],
    {
      entrypoint: ["/start.sh"],
      // nobody: it needs to own nothing.
      user: "65534:65534",
      exposedPorts: [`${samplePort}/tcp`],
      labels: { "org.opencontainers.image.title": "Atoll's sample web page" },
    },
  );
}

/** The Quadlet file that runs it, pulled from `registry` (`address:port`). */
export async function sampleQuadlet(registry: string): Promise<string> {
  const text = await readFile(join(sources, "sample-web.container"), "utf8");
  return text.replaceAll("@REGISTRY@", registry);
}
