import { createHash } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";

/** One entry of an image's file system. Paths are absolute; folders above come by themselves. */
export type ImageEntry =
  | { readonly path: string; readonly kind: "file"; readonly mode: number; readonly content: Uint8Array }
  | { readonly path: string; readonly kind: "link"; readonly target: string };

/** What the container runs, as in the OCI image specification, "config". */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  /** `uid:gid`. */
  readonly user: string;
  /** `8080/tcp`. */
  readonly exposedPorts: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** A blob, named by its content. */
interface Blob {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/**
 * Writes a container image of one layer as an OCI image layout (opencontainers/image-spec, v1.1) into the folder
 * `directory`, in place of what is there, tagged `latest`. The same entries and configuration always give the same
 * bytes. Gives the digest of its manifest, `sha256:…`.
 */
export async function writeOciImage(
  directory: string,
  entries: readonly ImageEntry[],
  config: ImageConfig,
): Promise<string> {
  const tar = await layerTar(entries);
  const layer = blob(gzipSync(tar, { level: 9 }));
  const configuration = jsonBlob({
    created: new Date(0).toISOString(),
    architecture: "amd64",
    os: "linux",
    config: {
      Entrypoint: config.entrypoint,
      User: config.user,
      ExposedPorts: Object.fromEntries(config.exposedPorts.map((port) => [port, {}])),
      Labels: config.labels,
    },
    rootfs: { type: "layers", diff_ids: [blob(tar).digest] },
  });
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: descriptor("application/vnd.oci.image.config.v1+json", configuration),
    layers: [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
  });
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      {
        ...descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
        annotations: { "org.opencontainers.image.ref.name": "latest" },
      },
    ],
  };
  await rm(directory, { recursive: true, force: true });
  await mkdir(join(directory, "blobs", "sha256"), { recursive: true });
  for (const { digest, bytes } of [layer, configuration, manifest]) {
    await writeFile(join(directory, "blobs", digest.replace(":", "/")), bytes);
  }
  await writeFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}\n');
  await writeFile(join(directory, "index.json"), JSON.stringify(index));
  return manifest.digest;
}

/** The file system as a tar archive: entries sorted, owned by root, from the beginning of 1970. */
async function layerTar(entries: readonly ImageEntry[]): Promise<Buffer> {
  const archive = pack();
  const common = { uid: 0, gid: 0, mtime: new Date(0) };
  const folders = new Set(entries.flatMap(({ path }) => foldersAbove(path)));
  for (const folder of [...folders].toSorted()) {
    archive.entry({ ...common, name: `${folder}/`, type: "directory", mode: 0o755 });
  }
  for (const entry of entries.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const name = entry.path.slice(1);
    if (entry.kind === "link") {
      archive.entry({ ...common, name, type: "symlink", linkname: entry.target, mode: 0o777 });
    } else {
      archive.entry({ ...common, name, type: "file", mode: entry.mode }, Buffer.from(entry.content));
    }
  }
  archive.finalize();
  return buffer(archive);
}

/** `/srv/www/a` gives `srv` and `srv/www`. */
function foldersAbove(path: string): string[] {
  const names = path.split("/").slice(1, -1);
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}

function blob(bytes: Uint8Array): Blob {
  return { digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, bytes };
}

function jsonBlob(value: unknown): Blob {
  return blob(Buffer.from(JSON.stringify(value)));
}

function descriptor(mediaType: string, { digest, bytes }: Blob): object {
  return { mediaType, digest, size: bytes.length };
}
