import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { extract } from "tar-stream";
import { type ImageEntry, writeOciImage } from "./oci.ts";

const config = { entrypoint: ["/start"], user: "65534:65534", exposedPorts: ["80/tcp"], labels: {} };
const entries: ImageEntry[] = [
  { path: "/srv/www/index.html", kind: "file", mode: 0o644, content: Buffer.from("hello") },
  { path: "/start", kind: "file", mode: 0o755, content: Buffer.from("#!/bin/sh\n") },
  { path: "/bin/sh", kind: "link", target: "busybox" },
];

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "atoll-oci-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("the same entries give the same bytes, in whatever order they come", async () => {
  await inFolder(async (folder) => {
    const first = await writeOciImage(join(folder, "a"), entries, config);
    const second = await writeOciImage(join(folder, "b"), entries.toReversed(), config);
    assert.equal(first, second);
    const other = await writeOciImage(join(folder, "c"), entries.slice(1), config);
    assert.notEqual(first, other);
  });
});

test("every blob is named by its content, and the layer holds the entries with the folders above them", async () => {
  await inFolder(async (folder) => {
    await writeOciImage(folder, entries, config);
    const blobs = join(folder, "blobs", "sha256");
    for (const name of await readdir(blobs)) {
      const bytes = await readFile(join(blobs, name));
      assert.equal(createHash("sha256").update(bytes).digest("hex"), name);
    }
    const read = async (digest: string): Promise<Buffer> =>
      readFile(join(blobs, digest.replace("sha256:", "")));
    const index = JSON.parse(await readFile(join(folder, "index.json"), "utf8"));
    const manifest = JSON.parse((await read(index.manifests[0].digest)).toString());
    const tar = gunzipSync(await read(manifest.layers[0].digest));
    const imageConfig = JSON.parse((await read(manifest.config.digest)).toString());
    assert.deepEqual(imageConfig.rootfs.diff_ids, [
      `sha256:${createHash("sha256").update(tar).digest("hex")}`,
    ]);
    const names: string[] = [];
    const reader = extract();
    reader.end(tar);
    for await (const entry of reader) {
      names.push(entry.header.name);
      entry.resume();
    }
    assert.deepEqual(names, ["bin/", "srv/", "srv/www/", "bin/sh", "srv/www/index.html", "start"]);
  });
});
