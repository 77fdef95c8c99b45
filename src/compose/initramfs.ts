import { copyFile, mkdtemp, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";
import { AtollError, isSystemError } from "../errors.ts";
import { projectRoot } from "../paths.ts";
import { type CpioEntry, cpioArchive } from "./cpio.ts";
import {
  moduleName,
  narrowAliases,
  narrowDependencies,
  parseModuleList,
  selectModules,
} from "./kernel-modules.ts";
import type { Toolbox } from "./toolbox.ts";

export interface InitramfsOptions {
  /** The tree with Debian's packages and os/files in it, before or after it is shaped for OSTree. */
  readonly root: string;
  /** Name of the folder below /usr/lib/modules. */
  readonly kernelVersion: string;
  /** File to write. */
  readonly output: string;
  readonly toolbox: Toolbox;
  /** Modules to carry beside those of os/initramfs/modules and os/initramfs/watchdogs. */
  readonly modules: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Builds the initramfs of a tree: busybox, ostree-prepare-root, kernel modules and os/initramfs/init; no systemd, no
 * udev (under emulation that saves a third of the boot). The same tree gives the same bytes, whatever its version, so
 * an update that leaves the kernel alone does not carry it again.
 * Errors: INITRAMFS_PART_MISSING, INITRAMFS_MODULE_MISSING, COMMAND_FAILED, INTERRUPTED.
 */
export async function buildInitramfs(options: InitramfsOptions): Promise<void> {
  const source = join(projectRoot, "os/initramfs");
  const entries: CpioEntry[] = [
    ...skeleton,
    file("init", await readFile(join(source, "init")), 0o755),
    ...(await programs(options)),
    ...(await modules(options, source)),
  ];
  const parameters = { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_checksumFlag]: 0 };
  const image = zstdCompressSync(cpioArchive(entries), { params: parameters });
  await writeFile(`${options.output}.new`, image);
  await rename(`${options.output}.new`, options.output);
}

/** What os/initramfs/init calls by name. */
const applets = [
  "cat",
  "findfs",
  "modprobe",
  "mount",
  "reboot",
  "sh",
  "sleep",
  "sort",
  "switch_root",
  "watchdog",
];

const skeleton: readonly CpioEntry[] = [
  { kind: "console", path: "dev/console" },
  ...["etc", "proc", "run", "sys", "sysroot", "tmp"].map((path) => folder(path)),
  ...["bin", "lib", "lib64", "sbin"].map((name): CpioEntry => {
    return { kind: "link", path: name, target: name === "sbin" ? "usr/bin" : `usr/${name}` };
  }),
  ...applets.map((name): CpioEntry => ({ kind: "link", path: `usr/bin/${name}`, target: "busybox" })),
];

function folder(path: string): CpioEntry {
  return { kind: "folder", path, mode: 0o755 };
}

function file(path: string, data: Uint8Array | string, mode = 0o644): CpioEntry {
  return { kind: "file", path, mode, data: Buffer.from(data) };
}

const prepareRoot = "/usr/lib/ostree/ostree-prepare-root";

async function programs(options: InitramfsOptions): Promise<CpioEntry[]> {
  const binaries = ["/usr/bin/busybox", prepareRoot];
  const libraries = new Set<string>();
  for (const program of binaries) {
    for (const library of await librariesOf(program, options)) libraries.add(library);
  }
  const config = "/usr/lib/ostree/prepare-root.conf";
  return Promise.all([
    ...[...binaries, ...libraries].map(async (path) => file(merged(path), await read(options, path), 0o755)),
    read(options, config).then((data) => file(merged(config), data)),
  ]);
}

/** The path in an archive where /lib and its like are links into /usr. */
function merged(path: string): string {
  return path.replace(/^\/(?:usr\/)?/, "usr/");
}

/** Paths of the shared libraries and of the loader that `program` of the tree needs: none when it is static. */
async function librariesOf(program: string, options: InitramfsOptions): Promise<string[]> {
  const { root, toolbox, signal } = options;
  const loader = "/lib64/ld-linux-x86-64.so.2";
  const { stdout } = await toolbox.run(["chroot", root, loader, "--list", program], {
    step: `finding the libraries of ${program}`,
    binds: [root],
    // The loader's own answer for a static program.
    accept: [0, 1],
    ...(signal && { signal }),
  });
  return parseLibraries(stdout);
}

/** The paths out of what `ld.so --list` prints: `name => /path (address)` or `/path (address)`. */
export function parseLibraries(listing: string): string[] {
  return [...listing.matchAll(/(?:^|=>)\s*(\/\S+) \(0x/gm)].flatMap((match) => match[1] ?? []).sort();
}

/** A file of the tree. Its links must lead to somewhere in the tree. */
async function read(options: InitramfsOptions, path: string): Promise<Buffer> {
  const root = await realpath(options.root);
  try {
    const real = await realpath(join(root, path));
    if (!real.startsWith(`${root}/`)) throw new AtollError("INITRAMFS_PART_MISSING", { path, root });
    return await readFile(real);
  } catch (error) {
    if (!isSystemError(error, "ENOENT")) throw error;
    throw new AtollError("INITRAMFS_PART_MISSING", { path, root }, error);
  }
}

async function modules(options: InitramfsOptions, source: string): Promise<CpioEntry[]> {
  const folderPath = `usr/lib/modules/${options.kernelVersion}`;
  const text = async (name: string) => (await read(options, `/${folderPath}/${name}`)).toString();
  const [dependencies, builtin, aliases] = await Promise.all([
    text("modules.dep"),
    text("modules.builtin"),
    text("modules.alias"),
  ]);
  const standard = parseModuleList(await readFile(join(source, "modules"), "utf8"));
  const watchdogs = parseModuleList(await readFile(join(source, "watchdogs"), "utf8"));
  const { missing } = selectModules(dependencies, builtin, options.modules);
  if (missing.length > 0) {
    const names = missing.join(", ");
    throw new AtollError("INITRAMFS_MODULE_MISSING", { names, kernel: options.kernelVersion });
  }
  const { files } = selectModules(dependencies, builtin, [...standard, ...watchdogs, ...options.modules]);
  const present = new Set(files.map(moduleName));
  const usable = watchdogs.filter((name) => present.has(moduleName(name)));
  return [
    file("etc/watchdogs", usable.map((name) => `${name}\n`).join("")),
    file(`${folderPath}/modules.dep`, narrowDependencies(dependencies, files)),
    file(`${folderPath}/modules.alias`, narrowAliases(aliases, files)),
    ...(await moduleFiles(options, folderPath, files)),
  ];
}

/** The modules themselves, unpacked: packed twice they would be larger, and slower to load. */
async function moduleFiles(
  options: InitramfsOptions,
  folderPath: string,
  files: readonly string[],
): Promise<CpioEntry[]> {
  const scratch = await mkdtemp(join(dirname(options.output), ".initramfs-"));
  try {
    const root = await realpath(options.root);
    for (const name of files) await copyFile(join(root, folderPath, name), join(scratch, basename(name)));
    const packed = files.filter((name) => name.endsWith(".xz")).map((name) => join(scratch, basename(name)));
    if (packed.length > 0) {
      await options.toolbox.run(["xz", "--decompress", "--", ...packed], {
        step: "unpacking kernel modules",
        binds: [scratch],
        ...(options.signal && { signal: options.signal }),
      });
    }
    return await Promise.all(
      files.map(async (name) => {
        const plain = name.replace(/\.xz$/, "");
        return file(`${folderPath}/${plain}`, await readFile(join(scratch, basename(plain))));
      }),
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
