import { createHash } from "node:crypto";
import { access, mkdir, realpath, rename } from "node:fs/promises";
import { join } from "node:path";
import { AtollError, hasCode } from "../errors.ts";
import { withExclusive } from "../exclusive.ts";
import { projectRoot, stateDirectory } from "../paths.ts";
import { type RunOptions, type RunResult, run } from "../process.ts";
import type { Progress } from "../progress.ts";
import { markUsed, usingCache } from "./cache-use.ts";

type Argv = readonly [string, ...string[]];

export interface ToolboxCommand {
  /** Files and folders to see inside at their own paths, beside the cache, the state, the project and /tmp. */
  readonly binds?: readonly string[];
  /** Folder to start in; it must be visible inside. `/` when absent. */
  readonly cwd?: string;
  /** Variables to set. Of the caller's own only those that lead to a proxy go in. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A Debian 13 root of our own, whose programs see the computer's files at their usual paths. */
export interface Toolbox {
  /** The root folder. When not root, its files belong to subordinate ids: change them only by `run`. */
  readonly root: string;
  /** True when it is entered through a user namespace. */
  readonly rootless: boolean;
  /** Runs a program of the toolbox to its end; see `run` in process.ts. */
  run(argv: Argv, options: RunOptions & ToolboxCommand): Promise<RunResult>;
  /**
   * The command that becomes `argv` inside the toolbox, for programs that one spawns oneself: it execs all the
   * way, so the pid that spawn gives is the program's own, and signals reach it.
   */
  argv(argv: Argv, options?: ToolboxCommand): [string, ...string[]];
}

interface ToolboxOptions {
  /** The folder that holds it: `cacheDirectory()`. */
  readonly cache: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

const suite = "trixie";
const mirror = "http://deb.debian.org";
const packages: readonly string[] = [
  "apt-utils",
  "binutils",
  "busybox-static",
  "ca-certificates",
  "cpio",
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
];

/**
 * Gives the toolbox, making it first if this computer has none of this kind yet (half a minute and the network).
 * Two at once are safe: one makes it, the other waits. Works as root, and as an ordinary user by user namespaces.
 * Errors: TOOLBOX_NO_NAMESPACE, COMMAND_MISSING (mmdebstrap), COMMAND_FAILED, INTERRUPTED.
 */
export async function openToolbox(options: ToolboxOptions): Promise<Toolbox> {
  const rootless = process.getuid?.() !== 0;
  const root = toolboxPath(options.cache);
  if (rootless) await checkNamespaces(options.signal);
  if (!(await exists(root))) {
    options.progress.step("making the toolbox");
    const lock = {
      step: "waiting for the toolbox",
      onWait: () => options.progress.detail("another atoll makes it; waiting"),
      ...(options.signal && { signal: options.signal }),
    };
    await usingCache(options, () =>
      withExclusive(`${root}.lock`, lock, async () => {
        if (!(await exists(root))) await makeToolbox(root, rootless, options);
      }),
    );
  }
  await markUsed(`${root}.lock`);
  await mkdir(stateDirectory(), { recursive: true });
  const home = {
    root,
    rootless,
    binds: [options.cache, stateDirectory(), projectRoot, "/tmp"],
    resolvConf: await realpath("/etc/resolv.conf").catch(() => null),
  };
  return {
    root,
    rootless,
    argv: (argv, command) => enter(home, argv, command),
    run: (argv, { binds, cwd, env, ...rest }) => {
      const command = { ...(binds && { binds }), ...(cwd && { cwd }), ...(env && { env }) };
      return run(enter(home, argv, command), { shownAs: argv, logs: logsPath(options.cache), ...rest });
    },
  };
}

/** The same toolbox, where `binds` are seen by every program. */
export function withBinds(toolbox: Toolbox, binds: readonly string[]): Toolbox {
  const more = <T extends ToolboxCommand>(command: T): T => ({
    ...command,
    binds: [...binds, ...(command.binds ?? [])],
  });
  return {
    root: toolbox.root,
    rootless: toolbox.rootless,
    argv: (argv, command = {}) => toolbox.argv(argv, more(command)),
    run: (argv, options) => toolbox.run(argv, more(options)),
  };
}

/** Where the whole output of a program goes when it fails. */
export function logsPath(cache: string): string {
  return join(cache, "logs");
}

/** Where the toolbox of this Atoll is. Another suite or list of packages is another one, and the old one stays as it is. */
export function toolboxPath(cache: string): string {
  const key = createHash("sha256")
    .update(JSON.stringify([1, suite, mirror, packages]))
    .digest("hex");
  return join(cache, `toolbox-${key.slice(0, 12)}`);
}

/**
 * Runs a program of this computer that looks at files of the cache or removes them. What the toolbox made for an account
 * that is not root may belong to subordinate ids: where the account itself may not, it is tried as those. Errors: as `run`.
 */
export async function runAsOwner(argv: Argv, options: RunOptions): Promise<RunResult> {
  if (process.getuid?.() === 0) return run(argv, options);
  try {
    return await run(argv, { ...options, accept: [0] });
  } catch (error) {
    if (!hasCode(error, "COMMAND_FAILED")) throw error;
    return run([...namespace(true), ...argv], { shownAs: argv, ...options });
  }
}

async function makeToolbox(root: string, rootless: boolean, options: ToolboxOptions): Promise<void> {
  const fresh = `${root}.new`;
  const run1 = (argv: Argv, step: string) =>
    run(argv, {
      step,
      hint: "package mmdebstrap",
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
      await run1(mmdebstrap("unshare", `${fresh}.tar`), "making the toolbox");
      const unpack = 'mkdir "$1" && exec tar -C "$1" --numeric-owner --exclude="./dev/*" -xpf "$1.tar"';
      await run1([...namespace(true), "sh", "-c", unpack, "sh", fresh], "unpacking the toolbox");
      await run([...namespace(true), "rm", "-f", `${fresh}.tar`], { step: "tidying up" });
    } else {
      await run1(mmdebstrap("root", fresh), "making the toolbox");
    }
    await rename(fresh, root);
  } catch (error) {
    await remove();
    throw error;
  }
}

function mmdebstrap(mode: "root" | "unshare", target: string): Argv {
  const source = (path: string, suffix: string) => `deb ${mirror}/${path} ${suite}${suffix} main`;
  return [
    "mmdebstrap",
    `--mode=${mode}`,
    "--variant=apt",
    `--include=${packages.join(",")}`,
    '--aptopt=APT::Install-Recommends "false"',
    ...["doc", "man", "info", "locale", "lintian"].map(
      (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
    ),
    "--dpkgopt=force-unsafe-io",
    // A file to bind the computer's own over, whatever mmdebstrap left there.
    '--customize-hook=rm -f "$1/etc/resolv.conf" && touch "$1/etc/resolv.conf"',
    suite,
    target,
    source("debian", ""),
    source("debian", "-updates"),
    source("debian-security", "-security"),
  ];
}

interface Home {
  readonly root: string;
  readonly rootless: boolean;
  readonly binds: readonly string[];
  readonly resolvConf: string | null;
}

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Mounts `from to` pairs up to `--` under the root, then becomes the program. The caller's umask and environment must
 * not show in what is made. GnuPG keeps its sockets below /run/user, if that is there, whatever the length of its home.
 */
const enterScript = `
umask 022
export PATH=${path}
root=$1 cwd=$2; shift 2
mkdir -p -m 700 "$root/run/user/0"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"
  elif [ ! -e "$root$2" ]; then mkdir -p "$(dirname "$root$2")"; : > "$root$2"; fi
  mount --rbind "$1" "$root$2"; shift 2
done
shift
exec chroot "$root" env --ignore-environment --chdir="$cwd" "$@"`;

function enter(home: Home, argv: Argv, command: ToolboxCommand = {}): [string, ...string[]] {
  const folders = outermost([...home.binds, ...(command.binds ?? [])], home.root);
  const mounts = [...folders, "/sys", "/proc", "/dev"].flatMap((path) => [path, path]);
  if (home.resolvConf) mounts.push(home.resolvConf, "/etc/resolv.conf");
  const env = {
    PATH: path,
    HOME: "/root",
    LC_ALL: "C.UTF-8",
    TZ: "UTC",
    ...proxyVariables(),
    ...command.env,
  };
  return [
    ...namespace(home.rootless),
    ...["sh", "-euc", enterScript, "toolbox", home.root, command.cwd ?? "/", ...mounts, "--"],
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...argv,
  ];
}

/**
 * Those of `paths` that lie in none of the others, the one that holds the toolbox itself first: bound later, it would
 * show the mounts that were made in the toolbox before.
 */
export function outermost(paths: readonly string[], root: string): string[] {
  const within = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);
  const distinct = [...new Set(paths)];
  const outer = distinct.filter((path) => !distinct.some((other) => other !== path && within(path, other)));
  return outer.toSorted((a, b) => Number(within(root, b)) - Number(within(root, a)));
}

function proxyVariables(): Record<string, string> {
  const names = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** A mount namespace, in a user namespace of ours when not root: 0 is the user, 1 and up the subordinate ids. */
function namespace(rootless: boolean): [string, ...string[]] {
  return rootless
    ? ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--"]
    : ["unshare", "--mount", "--"];
}

async function checkNamespaces(signal: AbortSignal | undefined): Promise<void> {
  const step = "entering a user namespace";
  try {
    await run([...namespace(true), "true"], { step, ...(signal && { signal }) });
  } catch (error) {
    if (signal?.aborted) throw error;
    const cause =
      error instanceof AtollError ? String(error.parameters.output ?? error.message) : String(error);
    throw new AtollError("TOOLBOX_NO_NAMESPACE", { cause }, error);
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
