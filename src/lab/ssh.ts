import { mkdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AtollError, hasCode, isSystemError } from "../errors.ts";
import { withExclusive } from "../exclusive.ts";
import { type RunOptions, type RunResult, run } from "../process.ts";
import { type MachineRecord, machineFiles } from "./record.ts";

/** A machine as ssh(1) reaches it. */
export interface SshTarget {
  /** For people: the name of a lab machine, or what they typed. */
  readonly name: string;
  readonly user: string | null;
  readonly address: string;
  readonly port: number | null;
  /** Private key; the user's own keys and configuration when null. */
  readonly identity: string | null;
  /** Host keys of this one machine; the user's own file when null. */
  readonly knownHosts: string | null;
  /** Where the master connection listens, and where the forward of the daemon's socket does. */
  readonly sshSocket: string;
  readonly apiSocket: string;
}

const step = (target: SshTarget): string => `reaching ${target.name} by SSH`;
const hint = "package openssh-client";

/** The daemon's socket in every host. */
const remoteApiSocket = "/run/atoll/api.sock";

/** The lab's own key: made once, kept in the lab, let in by every machine that the lab provisions. */
export async function labKey(lab: string): Promise<{ readonly file: string; readonly publicKey: string }> {
  const file = join(lab, "key");
  await withExclusive(join(lab, ".key.lock"), { step: "making the lab's key" }, async () => {
    try {
      await readFile(`${file}.pub`);
    } catch (error) {
      if (!isSystemError(error, "ENOENT")) throw error;
      await mkdir(lab, { recursive: true });
      await rm(file, { force: true });
      await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "atoll lab", "-f", file], {
        step: "making the lab's key",
        hint,
      });
    }
  });
  return { file, publicKey: (await readFile(`${file}.pub`, "utf8")).trim() };
}

/** How to reach a machine of the lab. */
export function labTarget(lab: string, record: MachineRecord): SshTarget {
  const files = machineFiles(lab, record.name);
  return {
    name: record.name,
    user: "root",
    address: "127.0.0.1",
    port: record.sshPort,
    identity: join(lab, "key"),
    knownHosts: files.knownHosts,
    sshSocket: files.sshSocket,
    apiSocket: files.apiSocket,
  };
}

/** The words of ssh(1) for `target`, without a command: what a person may type as well. */
export function sshCommand(target: SshTarget, ...options: string[]): [string, ...string[]] {
  const own = target.identity
    ? // Nothing of the user's own configuration, agent or keys has a part in reaching a lab machine.
      ["-F", "none", "-i", target.identity, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
    : [];
  const hosts = target.knownHosts
    ? ["-o", `UserKnownHostsFile=${target.knownHosts}`, "-o", "StrictHostKeyChecking=accept-new"]
    : [];
  const port = target.port === null ? [] : ["-p", String(target.port)];
  const user = target.user === null ? "" : `${target.user}@`;
  return ["ssh", ...own, ...hosts, ...port, ...options, `${user}${target.address}`];
}

const quiet = ["-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"] as const;

/** ssh's own exit code for a connection that did not come about, or broke. */
const connectionFailed = 255;

/**
 * Runs a shell command line on `target`; uses the master connection when there is one.
 * Errors: HOST_UNREACHABLE, COMMAND_FAILED (exit code not in `accept`), COMMAND_MISSING, INTERRUPTED.
 */
export async function sshRun(target: SshTarget, command: string, options: RunOptions): Promise<RunResult> {
  const share = ["-o", `ControlPath=${target.sshSocket}`];
  const accept = [...(options.accept ?? [0]), connectionFailed];
  const argv: [string, ...string[]] = [...sshCommand(target, ...quiet, ...share), "--", command];
  const result = await run(argv, { hint, ...options, accept });
  if (result.code !== connectionFailed) return result;
  throw new AtollError("HOST_UNREACHABLE", { host: target.name, cause: reason(result.stderr) });
}

/**
 * Gives a unix socket on this computer that leads to the daemon of `target`. The SSH connection behind it stays for
 * ten minutes after its last use, so that the next command need not make one. Errors: HOST_UNREACHABLE, INTERRUPTED.
 */
export async function openApiSocket(target: SshTarget, signal?: AbortSignal): Promise<string> {
  await mkdir(dirname(target.sshSocket), { recursive: true, mode: 0o700 });
  const lock = { step: step(target), ...(signal && { signal }) };
  return withExclusive(`${target.sshSocket}.lock`, lock, async () => {
    if (await isConnected(target)) return target.apiSocket;
    await rm(target.sshSocket, { force: true });
    await rm(target.apiSocket, { force: true });
    const argv = sshCommand(
      target,
      ...quiet,
      ...["-f", "-N", "-o", "ControlMaster=yes", "-o", "ControlPersist=600"],
      ...["-o", `ControlPath=${target.sshSocket}`, "-o", "ExitOnForwardFailure=yes"],
      // An emulated machine on a busy computer may well be silent for half a minute.
      ...["-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=4"],
      ...["-o", "StreamLocalBindUnlink=yes", "-L", `${target.apiSocket}:${remoteApiSocket}`],
    );
    await connect(target, argv, signal);
    return target.apiSocket;
  });
}

async function connect(
  target: SshTarget,
  argv: readonly [string, ...string[]],
  signal: AbortSignal | undefined,
): Promise<void> {
  const stop = signal && { signal };
  const result = await run(argv, { step: step(target), hint, accept: [0, connectionFailed], ...stop });
  if (result.code === 0) return;
  throw new AtollError("HOST_UNREACHABLE", { host: target.name, cause: reason(result.stderr) });
}

/** Ends the master connection to `target`, if there is one: the machine is about to go. */
export async function closeConnection(files: Pick<SshTarget, "sshSocket" | "apiSocket">): Promise<void> {
  await control(files, "exit");
  await rm(files.apiSocket, { force: true });
}

function isConnected(target: SshTarget): Promise<boolean> {
  return control(target, "check");
}

async function control(
  { sshSocket }: Pick<SshTarget, "sshSocket">,
  order: "check" | "exit",
): Promise<boolean> {
  // The address is not used: the socket alone says which connection is meant.
  const argv = ["ssh", "-F", "none", "-o", `ControlPath=${sshSocket}`, "-O", order, "any"] as const;
  try {
    const { code } = await run(argv, {
      step: "looking for an SSH connection",
      accept: [0, connectionFailed],
    });
    return code === 0;
  } catch (error) {
    if (hasCode(error, "COMMAND_MISSING")) return false;
    throw error;
  }
}

/** The last line that ssh said, without its name before it. */
function reason(stderr: string): string {
  const line = stderr.trim().split("\n").at(-1) ?? "";
  return line.replace(/^ssh: /, "").trim() || "the connection was refused or broke";
}
