import { createHash } from "node:crypto";
import { mkdir, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { AtollError, hasCode } from "../errors.ts";
import { withExclusive } from "../exclusive.ts";
import { exists, logsPath, projectRoot, stateDirectory } from "../paths.ts";
import { type RunOptions, type RunResult, run } from "../process.ts";
import type { Progress } from "../progress.ts";
import { markUsed, usingCache } from "./cache-use.ts";
import { type Lock, lockHash } from "./lock.ts";
import { makeToolboxRoot, namespace, readToolboxLock } from "./toolbox-root.ts";

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
  /** Names what it is made of: the same id, the same programs. */
  readonly id: string;
  /** False when Debian no longer had some packages of os/toolbox.lock, so that it is made of newer ones. */
  readonly pinned: boolean;
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

/**
 * Gives the toolbox that os/toolbox.lock describes, making it first if this computer does not have it yet (half a
 * minute and the network).
 * Two at once are safe: one makes it, the other waits. Works as root, and as an ordinary user by user namespaces.
 * Errors: TOOLBOX_NO_NAMESPACE, PACKAGES_UNFETCHED, COMMAND_MISSING (mmdebstrap), COMMAND_FAILED, INTERRUPTED.
 */
export async function openToolbox(options: ToolboxOptions): Promise<Toolbox> {
  const rootless = process.getuid?.() !== 0;
  if (rootless) await checkNamespaces(options.signal);
  const root = await openRoot(rootless, options);
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
    id: basename(root),
    pinned: !root.endsWith(unpinnedSuffix),
    rootless,
    argv: (argv, command) => enter(home, argv, command),
    run: (argv, { binds, cwd, env, ...rest }) => {
      const command = { ...(binds && { binds }), ...(cwd && { cwd }), ...(env && { env }) };
      return run(enter(home, argv, command), { shownAs: argv, logs: logsPath(options.cache), ...rest });
    },
  };
}

const unpinnedSuffix = "-unpinned";

async function openRoot(rootless: boolean, options: ToolboxOptions): Promise<string> {
  const lock = await readToolboxLock();
  const root = join(options.cache, `toolbox-${toolboxKey(lock)}`);
  const unpinned = `${root}${unpinnedSuffix}`;
  const find = async () => ((await exists(root)) ? root : (await exists(unpinned)) ? unpinned : null);
  const found = await find();
  if (found !== null) return found;
  await mkdir(options.cache, { recursive: true });
  const waiting = {
    step: "waiting for the toolbox",
    onWait: () => options.progress.detail("another atoll makes it; waiting"),
    ...(options.signal && { signal: options.signal }),
  };
  return usingCache(options, () =>
    withExclusive(
      `${root}.lock`,
      waiting,
      async () => (await find()) ?? (await makeToolboxRoot({ root, unpinned }, lock, rootless, options)),
    ),
  );
}

/** The same toolbox, where `binds` are seen by every program. */
export function withBinds(toolbox: Toolbox, binds: readonly string[]): Toolbox {
  const more = <T extends ToolboxCommand>(command: T): T => ({
    ...command,
    binds: [...binds, ...(command.binds ?? [])],
  });
  return {
    ...toolbox,
    argv: (argv, command = {}) => toolbox.argv(argv, more(command)),
    run: (argv, options) => toolbox.run(argv, more(options)),
  };
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

/** Where the toolbox of this Atoll is. Another lock's is another one, and the old one stays as it is. */
export async function toolboxPath(cache: string): Promise<string> {
  return join(cache, `toolbox-${toolboxKey(await readToolboxLock())}`);
}

/** Names the toolbox of a lock: other packages make another toolbox, and the old one stays as it is. */
function toolboxKey(lock: Lock): string {
  return createHash("sha256")
    .update(JSON.stringify([2, lockHash(lock)]))
    .digest("hex")
    .slice(0, 12);
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
