import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "../src/paths.ts";
import { run } from "../src/process.ts";

const folder = join(projectRoot, "src", "etcd");
export const codecPath: string = join(folder, "generated", "etcd.ts");

/** How the code is to be: no enums (Node runs it as it is), 64-bit numbers whole, messages in Node's buffers. */
const options = [
  "env=node",
  "forceLong=bigint",
  "oneof=unions-value",
  "enumsAsLiterals=true",
  "outputServices=generic-definitions",
  "outputJsonMethods=false",
  "esModuleInterop=true",
];

/** src/etcd/generated/etcd.ts as it must be for src/etcd/etcd.proto as it is. */
export async function codec(): Promise<string> {
  const out = await mkdtemp(join(tmpdir(), "atoll-codec-"));
  try {
    const plugin = [
      process.execPath,
      join(projectRoot, "node_modules", "ts-proto", "build", "src", "plugin.js"),
    ];
    const template = { version: "v2", plugins: [{ local: plugin, out, opt: options }] };
    const buf = join(projectRoot, "node_modules", "@bufbuild", "buf", "bin", "buf");
    const generate = ["generate", "--template", JSON.stringify(template), folder];
    await run([process.execPath, buf, ...generate], {
      step: "making the codec of etcd's messages",
      cwd: out,
      env: { BUF_CACHE_DIR: join(out, "cache") },
    });
    return await readFile(join(out, "etcd.ts"), "utf8");
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** Writes it. */
export async function writeCodec(): Promise<void> {
  await writeFile(codecPath, await codec());
}
