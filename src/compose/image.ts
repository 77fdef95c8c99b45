import { mkdir, mkdtemp, open, readdir, readFile, rename, stat, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AtollError, isSystemError } from "../errors.ts";
import type { Progress } from "../progress.ts";
import { placeBiosBoot } from "./bios.ts";
import { type DiskLayout, layOutDisk, rootIds, rootLabel, sectorSize, sfdiskScript } from "./disk-layout.ts";
import { imageScratch, sweep } from "./sweep.ts";
import type { Toolbox } from "./toolbox.ts";

export interface ImageOptions {
  /** OSTree repository that holds the tree. */
  readonly repo: string;
  /** The stream's ref, `atoll/x86_64/stable`; the machine follows it. */
  readonly ref: string;
  /** The tree to put on the disk; the newest of `ref` when absent. */
  readonly commit?: string;
  /** The image file to write; an older one is replaced when the new one is whole. */
  readonly output: string;
  readonly format: "raw" | "qcow2";
  /** Size of the disk in MiB; 3072 when absent. The root file system grows at boot when the disk is larger. */
  readonly size?: number;
  /** Kernel arguments beside those that the boot contract needs (root=, rw, panic=). */
  readonly kernelArguments: readonly string[];
  /** Where the machine looks for updates. */
  readonly remoteUrl: string;
  readonly toolbox: Toolbox;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

export interface ImageResult {
  readonly output: string;
  readonly commit: string;
  /** Of the deployment on the disk: docs/architecture.md, the boot contract. */
  readonly bootId: string;
  /** Bytes that the file holds. */
  readonly size: number;
}

/**
 * Makes a disk that boots a tree by UEFI, Secure Boot and BIOS. No loop device and no mount is needed: OSTree deploys
 * into a folder, mke2fs makes a file system of that folder inside the image file.
 * The deployment counts as good from the start: there is nothing to go back to.
 * Errors: IMAGE_TOO_SMALL, IMAGE_TREE_UNFIT, COMMAND_FAILED, INTERRUPTED.
 */
export async function buildImage(options: ImageOptions): Promise<ImageResult> {
  const folder = dirname(options.output);
  await mkdir(folder, { recursive: true });
  await sweep(folder, imageScratch, options.toolbox);
  const scratch = await mkdtemp(join(folder, ".atoll-image-"));
  const tools = useTools(options, scratch);
  try {
    const commit =
      options.commit ??
      (await tools.read("reading the ref", "ostree", "rev-parse", `--repo=${options.repo}`, options.ref));
    const place: Place = {
      options,
      tools,
      scratch,
      sysroot: join(scratch, "sysroot"),
      commit,
      disk: join(scratch, "disk"),
    };
    options.progress.step("deploying the tree");
    await deploy(place);
    const bootId = await writeBootFiles(place);
    const layout = await layOut(place);
    options.progress.step("making the disk");
    await writePartitionTable(place, layout);
    await writeRoot(place, layout);
    await writeEfi(place, layout);
    await writeBios(place, layout);
    const finished = await inFormat(place);
    await rename(finished, options.output);
    const { blocks } = await stat(options.output);
    return { output: options.output, commit, bootId, size: blocks * sectorSize };
  } finally {
    // Rootless, the files belong to subordinate ids, which only the toolbox can remove.
    await options.toolbox.run(["rm", "-rf", scratch], { step: "tidying up", binds: [folder] });
  }
}

interface Place {
  readonly options: ImageOptions;
  readonly tools: Tools;
  readonly scratch: string;
  /** The folder that becomes the root file system. */
  readonly sysroot: string;
  readonly commit: string;
  /** The raw disk in the making. */
  readonly disk: string;
}

type Argv = readonly [string, ...string[]];

interface Tools {
  run(step: string, ...argv: Argv): Promise<void>;
  /** Its output without the last newline. */
  read(step: string, ...argv: Argv): Promise<string>;
  /** With `input` on its standard input. */
  feed(step: string, input: string, ...argv: Argv): Promise<void>;
}

function useTools(options: ImageOptions, scratch: string): Tools {
  const call = (step: string, argv: Argv, input?: string) =>
    options.toolbox.run(argv, {
      step,
      binds: [options.repo, scratch],
      env: {
        // No immutable flags while the system is but a folder; writeRoot sets the one that counts.
        OSTREE_SYSROOT_DEBUG: "mutable-deployments",
        SOURCE_DATE_EPOCH: "0",
      },
      ...(input !== undefined && { input }),
      ...(options.signal && { signal: options.signal }),
    });
  return {
    run: async (step, ...argv) => void (await call(step, argv)),
    read: async (step, ...argv) => (await call(step, argv)).stdout.trimEnd(),
    feed: async (step, input, ...argv) => void (await call(step, argv, input)),
  };
}

const stateroot = "atoll";
const trustedKey = "/usr/share/ostree/trusted.gpg.d/atoll.gpg";

/** Arguments without which the boot contract does not hold: a panic must end in a reboot, not in silence. */
const requiredArguments = [`root=LABEL=${rootLabel}`, "rw", "panic=5"] as const;

async function deploy({ options, tools, sysroot, commit }: Place): Promise<void> {
  const repo = join(sysroot, "ostree/repo");
  const ostree = (step: string, ...argv: string[]) => tools.run(step, "ostree", ...argv);
  const configure = (key: string, value: string) =>
    ostree("configuring the system", "config", `--repo=${repo}`, "set", key, value);
  await tools.run("making the system", "mkdir", "-p", sysroot);
  await ostree("making the system", "admin", "init-fs", "--modern", sysroot);
  await ostree("making the system", "admin", "os-init", stateroot, `--sysroot=${sysroot}`);
  // GRUB's files are written here, by us; on the machine libostree does it.
  await configure("sysroot.bootloader", "none");
  await configure("sysroot.bootprefix", "true");
  await configure("sysroot.readonly", "true");
  // By checksum: a ref may be looked up in a summary, and a summary may be older than the ref.
  await ostree("copying the tree", "pull-local", `--repo=${repo}`, "--disable-fsync", options.repo, commit);
  const refspec = `atoll:${options.ref}`;
  const trust = ["--set=gpg-verify=true", `--set=gpgkeypath=${trustedKey}`];
  await ostree(
    "naming the remote",
    "remote",
    "add",
    `--repo=${repo}`,
    ...trust,
    "atoll",
    options.remoteUrl,
    options.ref,
  );
  await ostree("naming the ref", "refs", `--repo=${repo}`, `--create=${refspec}`, commit);
  const given = options.kernelArguments;
  const kernelArguments = [...requiredArguments.filter((argument) => !given.includes(argument)), ...given];
  await ostree(
    "deploying the tree",
    "admin",
    "deploy",
    `--sysroot=${sysroot}`,
    `--os=${stateroot}`,
    ...kernelArguments.map((argument) => `--karg-append=${argument}`),
    refspec,
  );
  await configure("sysroot.bootloader", "grub2");
  // /root and /home lead there; SSH keys from a credential are written before tmpfiles comes to make them.
  const homes = ["-m", "0700", join(sysroot, "ostree/deploy", stateroot, "var/roothome")];
  await tools.run("making the system", "mkdir", "-p", ...homes);
  await tools.run("making the system", "chmod", "755", sysroot);
}

/** Writes /boot/grub, and gives the boot id of the deployment. */
async function writeBootFiles({ tools, sysroot, commit }: Place): Promise<string> {
  const deployment = deploymentFolder(sysroot, commit);
  const boot = join(sysroot, "boot");
  const unfit = (problem: string, cause?: unknown) =>
    new AtollError("IMAGE_TREE_UNFIT", { commit, problem }, cause);
  const loaders = (await readdir(boot)).filter((name) => /^loader\.\d$/.test(name));
  const loader = loaders[0];
  if (loader === undefined) throw unfit("it has no kernel in /usr/lib/modules");
  const ours = await Promise.all([
    readFile(join(deployment, "usr/lib/atoll/grub.cfg")),
    readFile(join(deployment, "usr/lib/atoll/boot-id.cfg"), "utf8"),
  ]).catch((error: unknown) => {
    throw isSystemError(error, "ENOENT")
      ? unfit(`it has no ${error.path?.slice(deployment.length)}`, error)
      : error;
  });
  const [config, treeFile] = ours;
  await mkdir(join(boot, "grub"));
  await writeFile(join(boot, "grub/grub.cfg"), config);
  const menu = join(boot, loader, "grub.cfg");
  await tools.run("writing the boot menu", "sh", join(deployment, "usr/sbin/grub-mkconfig"), "-o", menu);
  const tree = /^set atoll_tree="(.+)"$/m.exec(treeFile)?.[1];
  const hash = /^set atoll_id0="\$atoll_tree-(\w+)"$/m.exec(await readFile(menu, "utf8"))?.[1];
  if (tree === undefined || hash === undefined) throw unfit("its /usr/lib/atoll/boot-id.cfg names no tree");
  const bootId = `${tree}-${hash}`;
  await writeFile(join(boot, "grub/grubenv"), environmentBlock({ atoll_good: bootId }));
  return bootId;
}

function deploymentFolder(sysroot: string, commit: string): string {
  return join(sysroot, "ostree/deploy", stateroot, "deploy", `${commit}.0`);
}

/** GRUB's environment block: 1024 bytes, written by GRUB itself in place. */
export function environmentBlock(variables: Readonly<Record<string, string>>): string {
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
  return `# GRUB Environment Block\n${lines.join("")}`.padEnd(1024, "#");
}

const mebibyte = 1024 * 1024;
const defaultSize = 3072;
const journalSize = 64;

async function layOut({ options, tools, sysroot }: Place): Promise<DiskLayout> {
  const size = options.size ?? defaultSize;
  const layout = layOutDisk(size * mebibyte);
  const used = Number.parseInt(await tools.read("measuring the tree", "du", "-sk", sysroot), 10) / 1024;
  // The journal, the inode tables (1/64 of the whole), and room to write logs and to stage a small update.
  const needed = Math.ceil(
    (used * 1.1 + journalSize + 256) * (64 / 63) + (layout.size - layout.root.size) / mebibyte,
  );
  if (size < needed) throw new AtollError("IMAGE_TOO_SMALL", { size, needed });
  return layout;
}

async function writePartitionTable({ tools, disk }: Place, layout: DiskLayout): Promise<void> {
  await writeFile(disk, "");
  await truncate(disk, layout.size);
  await tools.feed("writing the partition table", sfdiskScript(layout), "sfdisk", "--quiet", disk);
}

async function writeRoot({ tools, sysroot, commit, disk }: Place, layout: DiskLayout): Promise<void> {
  const blockSize = 4096;
  const { start, size } = layout.root;
  await tools.run(
    "making the root file system",
    ...["mke2fs", "-q", "-F", "-t", "ext4", "-L", rootLabel, "-U", rootIds.uuid, "-b", `${blockSize}`],
    ...["-O", "verity", "-J", `size=${journalSize}`, "-e", "remount-ro", "-m", "1"],
    ...["-E", `offset=${start},hash_seed=${rootIds.hashSeed},lazy_itable_init=1,lazy_journal_init=1`],
    ...["-d", sysroot, disk, `${size / blockSize}`],
  );
  // OSTree keeps the root of a deployment immutable. mke2fs does not copy that flag.
  const target = `${disk}?offset=${start}`;
  const inode = deploymentFolder("", commit);
  const shown = await tools.read("reading the file system", "debugfs", "-R", `stat ${inode}`, target);
  const flags = Number.parseInt(/Flags: (0x[0-9a-f]+)/.exec(shown)?.[1] ?? "", 16);
  if (Number.isNaN(flags)) throw new Error(`debugfs shows no flags for ${inode}: ${shown}`);
  const immutable = 0x10;
  const request = `set_inode_field ${inode} flags 0x${(flags | immutable).toString(16)}`;
  await tools.run("protecting the deployment", "debugfs", "-w", "-R", request, target);
}

/** What GRUB is to do first, from the ESP or from its BIOS core: go on with the root file system's own. */
const firstConfig = `search --no-floppy --label --set=root ${rootLabel}
set prefix=($root)/boot/grub
configfile /boot/grub/grub.cfg
`;

const signedLoaders = {
  "EFI/BOOT/BOOTX64.EFI": "/usr/lib/shim/shimx64.efi.signed",
  "EFI/BOOT/grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
} as const;

async function writeEfi({ tools, scratch, disk }: Place, layout: DiskLayout): Promise<void> {
  const { start, size } = layout.efi;
  const step = "writing the EFI system partition";
  const sectors = `${start / sectorSize}`;
  const id = "a7011a7a";
  // FAT32, as the UEFI specification has it; at this size only with clusters of one sector.
  const options = [
    "--invariant",
    "-F",
    "32",
    "-s",
    "1",
    "-n",
    "ESP",
    "-i",
    id,
    "--offset",
    sectors,
    "-h",
    sectors,
  ];
  await tools.run(step, "mkfs.vfat", ...options, disk, `${size / 1024}`);
  const target = `${disk}@@${start}`;
  await tools.run(step, "mmd", "-i", target, "::EFI", "::EFI/BOOT", "::EFI/debian");
  for (const [name, source] of Object.entries(signedLoaders)) {
    await tools.run(step, "mcopy", "-m", "-i", target, source, `::${name}`);
  }
  const config = join(scratch, "first.cfg");
  await writeFile(config, firstConfig);
  // Debian's signed GRUB looks for its configuration here.
  await tools.run(step, "mcopy", "-i", target, config, "::EFI/debian/grub.cfg");
}

/** All that grub.cfg uses: there are no modules on the disk, just as in Debian's signed GRUB. */
const biosModules = [
  ...["biosdisk", "part_gpt", "ext2", "search", "search_label", "normal", "configfile", "minicmd"],
  ...["echo", "test", "true", "sleep", "loadenv", "serial", "terminal", "linux", "boot", "reboot", "halt"],
] as const;

async function writeBios({ tools, scratch, disk }: Place, layout: DiskLayout): Promise<void> {
  const core = join(scratch, "core.img");
  const bootCopy = join(scratch, "boot.img");
  const config = join(scratch, "bios.cfg");
  await writeFile(config, firstConfig);
  const step = "making the BIOS boot loader";
  const target = ["-O", "i386-pc", "-p", "/boot/grub", "-c", config, "-o", core];
  await tools.run(step, "grub-mkimage", ...target, ...biosModules);
  await tools.run(step, "cp", "/usr/lib/grub/i386-pc/boot.img", bootCopy);
  const { start, size } = layout.bios;
  const [boot, kernel] = await Promise.all([readFile(bootCopy), readFile(core)]);
  const placed = placeBiosBoot(boot, kernel, start / sectorSize, size / sectorSize);
  const handle = await open(disk, "r+");
  try {
    await handle.write(placed.bootCode, 0, placed.bootCode.length, 0);
    await handle.write(placed.core, 0, placed.core.length, start);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The disk in the format asked for: the file to move into place. */
async function inFormat({ options, tools, scratch, disk }: Place): Promise<string> {
  if (options.format === "raw") return disk;
  options.progress.step("compressing the disk");
  const packed = join(scratch, "disk.qcow2");
  const settings = ["-c", "-O", "qcow2", "-o", "compression_type=zstd"];
  await tools.run("compressing the disk", "qemu-img", "convert", ...settings, disk, packed);
  return packed;
}
