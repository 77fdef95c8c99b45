import { build } from "esbuild";
import { projectRoot } from "../src/paths.ts";

/** CommonJS packages inside an ESM bundle need a `require` of their own. */
const banner = {
  js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
};

/** Each program, by the name of its file in dist/. */
const programs = {
  atoll: "src/cli/main.ts",
  "atoll-host": "src/cli/host-main.ts",
  "atoll-origin": "src/lab/origin-main.ts",
  atolld: "src/atolld.ts",
};

/** Bundles the programs into dist/, one file each, deterministic for the same sources and lock file. */
export async function buildAll(): Promise<void> {
  await build({
    entryPoints: programs,
    absWorkingDir: projectRoot,
    outdir: "dist",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    minify: true,
    legalComments: "none",
    logLevel: "warning",
    banner,
  });
}
