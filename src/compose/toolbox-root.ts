import { rename } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "../errors.ts";
import { logsPath, projectRoot } from "../paths.ts";
import { run } from "../process.ts";
import type { Progress } from "../progress.ts";
import { fetchDebs } from "./debs.ts";
import { type Lock, type PackageRequest, readLock } from "./lock.ts";
import { serveDebs } from "./serve-debs.ts";

type Argv = readonly [string, ...string[]];

interface RootOptions {
  /** `cacheDirectory()`: packages are kept in its debs/. */
  readonly cache: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** Which packages the toolbox is made of; os/toolbox.lock says in which versions. */
export const toolboxRequest: PackageRequest = {
  path: join(projectRoot, "os/toolbox.lock"),
  suite: "trixie",
  components: ["main"],
  mirrors: ["http://deb.debian.org/debian"],
  securityMirrors: ["http://deb.debian.org/debian-security"],
  packages: [
    "apt",
    "apt-utils",
    "binutils",
    "busybox-static",
    "ca-certificates",
    "cpio",
    "debian-archive-keyring",
    "docker-registry",
    "dosfstools",
    "e2fsprogs",
    "etcd-client",
    "etcd-server",
    "fdisk",
    "gpg",
    "gpg-agent",
    "gpgv",
    "grub-common",
    "grub-efi-amd64-signed",
    "grub-pc-bin",
    "kmod",
    "mmdebstrap",
    "mtools",
    "openssh-client",
    "ostree",
    "ovmf",
    "qemu-system-x86",
    "qemu-utils",
    "shim-signed",
    "skopeo",
    "swtpm",
    "systemd",
    "xz-utils",
    "zstd",
  ],
  excludePackages: [],
  kernelPackage: null,
};

/** Reads os/toolbox.lock. Errors: LOCK_INVALID, also when it is not there. */
export async function readToolboxLock(): Promise<Lock> {
  const lock = await readLock(toolboxRequest.path);
  if (lock === null) throw new Error(`${toolboxRequest.path} is not there: this clone is not whole`);
  return lock;
}

/**
 * Makes the toolbox's root in the folder `root`, of exactly the lock's packages; in `unpinned`, of Debian's newest, when
 * Debian no longer has some of those. Gives the folder that it made.
 * Errors: PACKAGES_UNFETCHED, COMMAND_MISSING (mmdebstrap), COMMAND_FAILED, INTERRUPTED.
 */
export async function makeToolboxRoot(
  { root, unpinned }: { readonly root: string; readonly unpinned: string },
  lock: Lock,
  rootless: boolean,
  options: RootOptions,
): Promise<string> {
  try {
    await fetchDebs(lock, toolboxRequest, options);
  } catch (error) {
    if (!hasCode(error, "PACKAGES_GONE")) throw error;
    options.progress.step("making the toolbox of Debian's newest packages");
    await unpackInto(unpinned, rootless, options, (target) => ofNewest(target, rootless));
    return unpinned;
  }
  options.progress.step("making the toolbox");
  const served = await serveDebs(lock, options);
  try {
    await unpackInto(root, rootless, options, (target) => ofLocked(target, rootless, lock, served.url));
  } finally {
    await served.close();
  }
  return root;
}

/** Has mmdebstrap make a root, and gives it its name only when it is whole. */
async function unpackInto(
  root: string,
  rootless: boolean,
  options: RootOptions,
  mmdebstrap: (target: string) => Argv,
): Promise<void> {
  const fresh = `${root}.new`;
  const told = (argv: Argv, step: string) =>
    run(argv, {
      step,
      hint: "package mmdebstrap",
      // /tmp may be memory, and small.
      env: { TMPDIR: "/var/tmp" },
      logs: logsPath(options.cache),
      onLine: (line) => options.progress.detail(line.replace(/^I: /, "")),
      ...(options.signal && { signal: options.signal }),
    });
  const remove = () =>
    run([...namespace(rootless), "rm", "-rf", fresh, `${fresh}.tar`], { step: "removing" });
  await remove();
  try {
    if (rootless) {
      // mmdebstrap maps ids in its own way; a tar archive carries the true ones into our namespace.
      await told(mmdebstrap(`${fresh}.tar`), "making the toolbox");
      const unpack = 'mkdir "$1" && exec tar -C "$1" --numeric-owner --exclude="./dev/*" -xpf "$1.tar"';
      await told([...namespace(true), "sh", "-c", unpack, "sh", fresh], "unpacking the toolbox");
      await run([...namespace(true), "rm", "-f", `${fresh}.tar`], { step: "tidying up" });
    } else {
      await told(mmdebstrap(fresh), "making the toolbox");
    }
    await rename(fresh, root);
  } catch (error) {
    await remove();
    throw error;
  }
}

function ofLocked(target: string, rootless: boolean, lock: Lock, url: string): Argv {
  const names = lock.packages.map(({ name }) => name);
  return [
    ...mmdebstrap(rootless, "essential", names),
    '--aptopt=Acquire::http::Proxy::127.0.0.1 "DIRECT"',
    lock.suite,
    target,
    // Needs no signature: every file was checked by its hash.
    `deb [trusted=yes] ${url} ./`,
  ];
}

function ofNewest(target: string, rootless: boolean): Argv {
  const { suite, packages, mirrors, securityMirrors } = toolboxRequest;
  // By Debian's keys alone: apt may know those of other vendors too, and this root makes what machines trust.
  const source = (base: string | undefined, suffix: string) =>
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${base} ${suite}${suffix} main`;
  return [
    ...mmdebstrap(rootless, "apt", packages),
    ...[suite, target, source(mirrors[0], ""), source(mirrors[0], "-updates")],
    source(securityMirrors[0], "-security"),
  ];
}

function mmdebstrap(rootless: boolean, variant: string, packages: readonly string[]): [string, ...string[]] {
  return [
    "mmdebstrap",
    `--mode=${rootless ? "unshare" : "root"}`,
    `--variant=${variant}`,
    `--include=${packages.join(",")}`,
    '--aptopt=APT::Install-Recommends "false"',
    ...["doc", "man", "info", "locale", "lintian"].map(
      (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
    ),
    "--dpkgopt=force-unsafe-io",
    // A file to bind the computer's own over, whatever mmdebstrap left there.
    '--customize-hook=rm -f "$1/etc/resolv.conf" && touch "$1/etc/resolv.conf"',
  ];
}

/** A mount namespace, in a user namespace of ours when not root: 0 is the user, 1 and up the subordinate ids. */
export function namespace(rootless: boolean): [string, ...string[]] {
  return rootless
    ? ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--"]
    : ["unshare", "--mount", "--"];
}
