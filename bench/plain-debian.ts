import { mkdir, rename, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { layOutDisk, sectorSize, sfdiskScript } from "../src/compose/disk-layout.ts";
import { readTreefile } from "../src/compose/treefile.ts";
import type { MachineSpec } from "../src/lab/machine.ts";
import { projectRoot } from "../src/paths.ts";
import type { BenchContext } from "./harness.ts";
import { sayReady } from "./machines.ts";

/** What our tree has and Debian's "important" packages do not. */
const packages = ["linux-image-cloud-amd64", "openssh-server", "podman", "dbus", "libpam-systemd"];

const rootLabel = "debian-root";

/** Laid over the packages: what a person would set up by hand, and the unit that says when the machine is ready. */
const files: Readonly<Record<string, string>> = {
  "etc/fstab": `LABEL=${rootLabel} / ext4 errors=remount-ro 0 1\n`,
  "etc/systemd/network/80-dhcp.network": "[Match]\nName=en*\n[Network]\nDHCP=yes\n",
  "etc/systemd/system/bench-ready.service": `[Unit]
Description=Say that the machine is up
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh /usr/local/lib/say-ready
[Install]
WantedBy=multi-user.target
`,
  "usr/local/lib/say-ready": sayReady,
};

/** GRUB as our own disk has it: no menu, no wait, where Debian's own would wait five seconds. */
const grubConfig = `search --no-floppy --label --set=root ${rootLabel}
linux /vmlinuz root=LABEL=${rootLabel} ro console=tty0 console=ttyS0 quiet
initrd /initrd.img
boot
`;

/**
 * A disk with Debian 13 as mmdebstrap makes it (required and important packages), the kernel that our tree has,
 * OpenSSH and Podman: what one would otherwise run containers on. Debian's own initramfs; boots by UEFI.
 */
export async function makePlainDebian(context: BenchContext): Promise<MachineSpec["image"]> {
  const { toolbox, progress, signal, scratch } = context;
  const folder = join(scratch, "debian");
  const root = join(folder, "root");
  const run = (step: string, ...argv: [string, ...string[]]) => toolbox.run(argv, { step, signal });
  await writeOverlay(join(folder, "overlay"));
  const treefile = await readTreefile(join(projectRoot, "os", "atoll.yaml"));
  const { suite } = treefile;
  const source = (base: string | undefined, name: string): string => `deb ${base} ${name} main`;
  progress.step("installing a plain Debian");
  await run(
    "installing a plain Debian",
    ...["mmdebstrap", "--mode=root", "--variant=important", `--include=${packages.join(",")}`],
    "--dpkgopt=force-unsafe-io",
    `--customize-hook=cp -r ${folder}/overlay/. "$1/"`,
    '--customize-hook=chroot "$1" systemctl enable bench-ready.service systemd-networkd.service',
    ...[suite, root],
    ...[source(treefile.mirrors[0], suite), source(treefile.mirrors[0], `${suite}-updates`)],
    source(treefile.securityMirrors[0], `${suite}-security`),
  );
  progress.step("making the disk of the plain Debian");
  const disk = join(folder, "disk");
  const layout = layOutDisk(3072 * 1024 * 1024);
  await writeFile(disk, "");
  await truncate(disk, layout.size);
  await toolbox.run(["sfdisk", "--quiet", disk], {
    step: "partitioning",
    input: sfdiskScript(layout),
    signal,
  });
  const offset = `offset=${layout.root.start}`;
  const space = `${layout.root.size / 4096}`;
  await run(
    "making the root file system",
    ...[
      "mke2fs",
      "-q",
      "-F",
      "-t",
      "ext4",
      "-L",
      rootLabel,
      "-b",
      "4096",
      "-E",
      offset,
      "-d",
      root,
      disk,
      space,
    ],
  );
  await writeEfi(context, disk, layout.efi, folder);
  await run("tidying up", "rm", "-rf", root);
  const file = join(scratch, "debian.raw");
  await rename(disk, file);
  return { file, format: "raw", label: "Debian 13" };
}

async function writeOverlay(folder: string): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

async function writeEfi(
  { toolbox, signal }: BenchContext,
  disk: string,
  place: { readonly start: number; readonly size: number },
  folder: string,
): Promise<void> {
  const run = (...argv: [string, ...string[]]) =>
    toolbox.run(argv, { step: "writing the EFI system partition", signal });
  const target = `${disk}@@${place.start}`;
  await run(
    ...["mkfs.vfat", "-F", "32", "-s", "1", "--offset", `${place.start / sectorSize}`],
    ...[disk, `${place.size / 1024}`],
  );
  await run("mmd", "-i", target, "::EFI", "::EFI/BOOT", "::EFI/debian");
  const config = join(folder, "grub.cfg");
  await writeFile(config, grubConfig);
  const parts = {
    "EFI/BOOT/BOOTX64.EFI": "/usr/lib/shim/shimx64.efi.signed",
    "EFI/BOOT/grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    "EFI/debian/grub.cfg": config,
  };
  for (const [name, from] of Object.entries(parts)) await run("mcopy", "-i", target, from, `::${name}`);
}
