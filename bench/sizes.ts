import { lstat, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import Type from "typebox";
import { buildImage } from "../src/compose/image.ts";
import { type BenchContext, defineBench } from "./harness.ts";
import { bytes, percent, table } from "./table.ts";
import { checkOut } from "./trees.ts";

const partSchema = Type.Object({
  /** A package, or what none brings. */
  name: Type.String(),
  bytes: Type.Integer(),
  /** By zstd -9, alone: what it may save of a download. */
  compressed: Type.Integer(),
});
type Part = Type.Static<typeof partSchema>;

/** What a tree takes: on a host, at the origin, as an image; and which packages that is. */
export const sizes = defineBench({
  name: "sizes",
  figures: Type.Object({
    version: Type.String(),
    packages: Type.Integer(),
    files: Type.Integer(),
    tree: Type.Integer(),
    repository: Type.Integer(),
    qcow2: Type.Integer(),
    zstd: Type.Integer(),
    parts: Type.Array(partSchema),
  }),
  measure: async (context) => {
    const composed = await context.composed();
    const folder = join(context.scratch, "sizes");
    const tree = join(folder, "tree");
    await checkOut(context, composed.repository, composed.checksum, tree);
    const files = await listFiles(tree);
    const parts = await sizeParts(tree, files);
    return {
      version: composed.version,
      packages: composed.lock.packages,
      files: files.size,
      tree: sum([...files.values()]),
      repository: await repositorySize(context, composed.repository, composed.checksum, folder),
      ...(await imageSizes(context, folder)),
      parts: parts.toSorted((a, b) => b.bytes - a.bytes).slice(0, 25),
    };
  },
  render: (figures) => {
    const { version, packages, files, tree, repository, qcow2, zstd, parts } = figures;
    const whole = table(
      ["what", "size", "goal"],
      [
        [`tree ${version}: ${packages} packages, ${files} files`, bytes(tree), ""],
        ["OSTree repository at the origin (one commit)", bytes(repository), ""],
        ["disk image, qcow2 (compressed with zstd)", bytes(qcow2), "160 MB"],
        ["disk image, raw, through `zstd -19`", bytes(zstd), "160 MB"],
      ],
    );
    const largest = table(
      ["part of the tree", "size", "of the tree", "through `zstd -9`"],
      parts.map((part) => [part.name, bytes(part.bytes), percent(part.bytes, tree), bytes(part.compressed)]),
    );
    return `${whole}\n\nThe largest parts:\n\n${largest}`;
  },
});

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Sizes of all regular files below `folder`, by path from there. */
async function listFiles(folder: string): Promise<Map<string, number>> {
  const files = new Map<string, number>();
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(folder.length + 1), (await lstat(path)).size);
  }
  return files;
}

/** Which package each file belongs to, by dpkg's lists; what no package brings is grouped by what it is. */
async function sizeParts(tree: string, files: ReadonlyMap<string, number>): Promise<Part[]> {
  const owners = await fileOwners(tree);
  const groups = new Map<string, string[]>();
  for (const path of files.keys()) {
    const name = owners.get(path) ?? unowned(path);
    const group = groups.get(name);
    if (group) group.push(path);
    else groups.set(name, [path]);
  }
  const parts: Part[] = [];
  for (const [name, paths] of groups) {
    const size = sum(paths.map((path) => files.get(path) ?? 0));
    parts.push({
      name,
      bytes: size,
      compressed: await compressedSize(paths.map((path) => join(tree, path))),
    });
  }
  return parts;
}

const lists = "usr/lib/sysimage/dpkg/info";

async function fileOwners(tree: string): Promise<Map<string, string>> {
  const owners = new Map<string, string>();
  for (const name of await readdir(join(tree, lists))) {
    if (!name.endsWith(".list")) continue;
    const owner = name.slice(0, -".list".length).replace(/:.*/, "");
    const text = await readFile(join(tree, lists, name), "utf8");
    for (const path of text.split("\n")) owners.set(placeInTree(path), owner);
  }
  return owners;
}

/** Where a tree has what a package calls `path`: /usr is merged, /etc waits in /usr/etc. */
function placeInTree(path: string): string {
  return path.replace(/^\/(bin|etc|lib|lib64|sbin)\//, "/usr/$1/").slice(1);
}

function unowned(path: string): string {
  if (path.endsWith("/initramfs.img")) return "initramfs (ours)";
  if (path === "usr/lib/atoll/node") return "Node.js (for the daemon)";
  if (path.startsWith("usr/lib/atoll/")) return "Atoll's daemon, command and boot files";
  if (path.endsWith("/vmlinuz")) return "kernel";
  if (path.startsWith("usr/lib/sysimage/")) return "dpkg's database";
  return "made by packages as they were installed";
}

async function compressedSize(paths: readonly string[]): Promise<number> {
  const content = await Promise.all(paths.toSorted().map((path) => readFile(path)));
  const params = { [constants.ZSTD_c_compressionLevel]: 9 };
  return (await promisify(zstdCompress)(Buffer.concat(content), { params })).length;
}

async function repositorySize(
  { toolbox, signal }: BenchContext,
  repository: string,
  commit: string,
  folder: string,
): Promise<number> {
  const alone = join(folder, "repo");
  const step = "making a repository with one commit";
  await toolbox.run(["ostree", "init", `--repo=${alone}`, "--mode=archive"], { step, signal });
  await toolbox.run(["ostree", "pull-local", `--repo=${alone}`, repository, commit], { step, signal });
  const { stdout } = await toolbox.run(["du", "--summarize", "--bytes", alone], { step, signal });
  return Number.parseInt(stdout, 10);
}

async function imageSizes(context: BenchContext, folder: string): Promise<{ qcow2: number; zstd: number }> {
  const { toolbox, progress, signal } = context;
  const { repository, ref, checksum, kernelArguments } = await context.composed();
  const image = async (format: "raw" | "qcow2"): Promise<string> => {
    const output = join(folder, `disk.${format}`);
    await buildImage({
      ...{ repo: repository, ref, commit: checksum, output, format, kernelArguments },
      ...{ remoteUrl: "http://127.0.0.1:1", toolbox, progress, signal },
    });
    return output;
  };
  const qcow2 = await stat(await image("qcow2"));
  const raw = await image("raw");
  progress.step("compressing the disk with zstd -19");
  await toolbox.run(["zstd", "--quiet", "-19", "-T0", raw, "-o", `${raw}.zst`], {
    step: "compressing the disk",
    signal,
  });
  const zstd = await stat(`${raw}.zst`);
  await rm(raw);
  return { qcow2: qcow2.size, zstd: zstd.size };
}
