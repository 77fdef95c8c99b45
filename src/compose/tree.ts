import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import Type from "typebox";
import { Compile } from "typebox/compile";
import { AtollError, type ErrorCode, errorTable } from "../errors.ts";
import { exists, projectRoot } from "../paths.ts";
import type { Progress } from "../progress.ts";
import { treesPath } from "./base.ts";
import { buildInitramfs } from "./initramfs.ts";
import { hashPath } from "./inputs.ts";
import type { ShapePlan } from "./shape.ts";
import type { Toolbox } from "./toolbox.ts";
import type { PinnedIds } from "./users.ts";

interface TreeOptions {
  readonly toolbox: Toolbox;
  readonly cache: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

interface MadeTree {
  readonly kernelVersion: string;
  /** Users and groups that packages made and nothing pins. */
  readonly fresh: PinnedIds;
  /** `remove` rules of the treefile that met nothing. */
  readonly idle: readonly string[];
}

const IdsSchema = Type.Object({
  users: Type.Array(Type.Array(Type.String())),
  groups: Type.Array(Type.Array(Type.String())),
});
const LaidSchema = Type.Object({ kernelVersion: Type.String(), idle: Type.Array(Type.String()) });
const ShapedSchema = Type.Object({ fresh: IdsSchema });
const AnswerSchema = Type.Object({
  result: Type.Optional(Type.Unknown()),
  error: Type.Optional(
    Type.Object({
      code: Type.String(),
      parameters: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()])),
    }),
  ),
});

/**
 * Makes the tree that `plan` describes in the folder `plan.root`, from the base tree with the ref `base`.
 * The folder's files belong to the toolbox's namespace. Errors: those of src/compose/shape.ts and of buildInitramfs.
 */
export async function makeTree(
  base: string,
  plan: ShapePlan,
  modules: readonly string[],
  options: TreeOptions,
): Promise<MadeTree> {
  const { toolbox, signal } = options;
  const { root } = plan;
  options.progress.step("laying files over the packages");
  // Hard links: whoever changes a file in this folder must make it anew, as everything in shape.ts does.
  await toolbox.run(
    ["ostree", "checkout", `--repo=${treesPath(options.cache)}`, "--require-hardlinks", base, root],
    {
      step: "laying out the base tree",
      ...(signal && { signal }),
    },
  );
  const { kernelVersion, idle } = await inside("lay", plan, "", LaidSchema, options);
  await placeInitramfs(root, kernelVersion, modules, options);
  options.progress.step("shaping the tree");
  const { fresh } = await inside("shape", plan, kernelVersion, ShapedSchema, options);
  return { kernelVersion, fresh, idle };
}

/** Runs a task of src/compose/inside.ts with this same Node.js, in the toolbox. */
async function inside<T extends Type.TSchema>(
  task: "lay" | "shape",
  plan: ShapePlan,
  kernelVersion: string,
  schema: T,
  { toolbox, signal }: TreeOptions,
): Promise<Type.Static<T>> {
  const program = join(projectRoot, "src/compose/inside.ts");
  const step = task === "lay" ? "laying files over the packages" : "shaping the tree";
  const { stdout } = await toolbox.run([process.execPath, program], {
    step,
    input: JSON.stringify({ task, plan, kernelVersion }),
    binds: [process.execPath, ...plan.files.map(({ from }) => from)],
    ...(signal && { signal }),
  });
  const answer: unknown = JSON.parse(stdout);
  if (!Compile(AnswerSchema).Check(answer))
    throw new AtollError("INTERNAL", { cause: `${program}: ${stdout}` });
  if (answer.error) {
    const { code, parameters } = answer.error;
    throw isErrorCode(code) ? new AtollError(code, parameters) : new AtollError("INTERNAL", { cause: code });
  }
  const { result } = answer;
  const checker = Compile(schema);
  if (!checker.Check(result)) throw new AtollError("INTERNAL", { cause: `${program}: ${stdout}` });
  return result;
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code);
}

/** The initramfs takes long to compress and seldom changes: it is kept in the cache by what it is made from. */
async function placeInitramfs(
  root: string,
  kernelVersion: string,
  modules: readonly string[],
  { toolbox, cache, progress, signal }: TreeOptions,
): Promise<void> {
  const kept = join(cache, "initramfs", `${await initramfsKey(root, kernelVersion, modules)}.img`);
  if (!(await exists(kept))) {
    progress.step("building the initramfs");
    await mkdir(join(cache, "initramfs"), { recursive: true });
    const output = `${kept}.${process.pid}`;
    await buildInitramfs({ root, kernelVersion, output, toolbox, modules, ...(signal && { signal }) });
    await rename(output, kept);
  }
  const placed = join(root, "usr/lib/modules", kernelVersion, "initramfs.img");
  await copyFile(kept, placed);
  await chmod(placed, 0o644);
}

const libraries = "usr/lib/x86_64-linux-gnu";

/**
 * Names all that an initramfs may be made from: its sources here, its programs and every library of the tree, the
 * kernel (which is built with its modules, and signs them).
 */
async function initramfsKey(
  root: string,
  kernelVersion: string,
  modules: readonly string[],
): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([kernelVersion, modules]));
  await hashPath(hash, join(projectRoot, "os/initramfs"));
  for (const name of ["cpio", "initramfs", "kernel-modules"]) {
    await hashPath(hash, join(projectRoot, "src/compose", `${name}.ts`));
  }
  const names = (await readdir(join(root, libraries))).filter((name) => name.includes(".so")).toSorted();
  const parts = [
    "usr/bin/busybox",
    "usr/lib/ostree/ostree-prepare-root",
    "usr/lib/ostree/prepare-root.conf",
    ...names.map((name) => join(libraries, name)),
    ...["modules.dep", "modules.alias", "modules.builtin"].map((name) =>
      join("usr/lib/modules", kernelVersion, name),
    ),
    join("boot", `vmlinuz-${kernelVersion}`),
  ];
  for (const part of parts) {
    // What is not there, buildInitramfs refuses in its own words, if it needs it.
    if (await exists(join(root, part))) await hashPath(hash, join(root, part));
  }
  return hash.digest("hex").slice(0, 16);
}
