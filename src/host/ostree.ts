/** The `ostree` program: everything that changes what is installed, and what needs the network or GPG. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AtollError } from "../errors.ts";
import { type RunResult, run } from "../process.ts";
import type { Signature } from "./model.ts";
import { remoteFailure } from "./remote-failure.ts";
import { parseSignature } from "./signature.ts";
import { stateroot } from "./sysroot.ts";
import type { Systemd } from "./systemd.ts";

/** A branch on a remote, as in `atoll:atoll/x86_64/stable`. */
export interface Branch {
  readonly remote: string;
  readonly ref: string;
  readonly url: string;
}

export interface StageRequest {
  readonly checksum: string;
  /** `remote:ref`, what upgrades of the new deployment follow. */
  readonly origin: string;
  readonly kernelArguments: readonly string[];
}

/** What this room asks of OSTree. Each call is whole or not at all; libostree sees to that. */
export interface OSTree {
  /** Fetches and verifies the commit object `checksum` of `branch`, the newest one for null; gives its checksum. */
  fetchCommit(branch: Branch, checksum: string | null, signal: AbortSignal): Promise<string>;
  /** Fetches and verifies everything in `checksum`. Goes on where an earlier one stopped. */
  fetch(branch: Branch, checksum: string, onLine: (line: string) => void, signal: AbortSignal): Promise<void>;
  /** Makes `checksum` what boots next, written out at shutdown. */
  stage(request: StageRequest, signal: AbortSignal): Promise<void>;
  setDefault(index: number, signal: AbortSignal): Promise<void>;
  undeploy(index: number, signal: AbortSignal): Promise<void>;
  pin(index: number, pinned: boolean, signal: AbortSignal): Promise<void>;
  /** Deletes what no deployment uses any more. */
  cleanup(signal: AbortSignal): Promise<void>;
  /** Lays a writable layer over /usr until the next boot. */
  unlock(signal: AbortSignal): Promise<void>;
  /** Who signed `checksum`, by the keys that `remote` trusts. */
  verify(checksum: string, remote: string, signal: AbortSignal): Promise<Signature>;
}

/** Milliseconds for the one thing that must run outside the daemon's own view of the file systems. */
const unlockLimit = 60_000;

/** The real one. `sysroot` is `/` on a host. */
export function ostreeProgram(sysroot: string, outside: Systemd["runOutside"]): OSTree {
  const repo = join(sysroot, "ostree", "repo");
  const admin = (
    verb: string,
    step: string,
    args: readonly string[],
    signal: AbortSignal,
  ): Promise<RunResult> => ostree(["admin", verb, `--sysroot=${sysroot}`, ...args], step, signal);
  return {
    async fetchCommit(branch, checksum, signal) {
      const what = checksum === null ? branch.ref : `${branch.ref}@${checksum}`;
      await pull(repo, branch, what, ["--commit-metadata-only", "--depth=0"], () => {}, signal);
      if (checksum !== null) return checksum;
      const refspec = `${branch.remote}:${branch.ref}`;
      const { stdout } = await ostree(
        ["rev-parse", `--repo=${repo}`, refspec],
        "looking up the newest tree",
        signal,
      );
      return stdout.trim();
    },
    async fetch(branch, checksum, onLine, signal) {
      await pull(repo, branch, `${branch.ref}@${checksum}`, [], onLine, signal);
    },
    stage: (request, signal) => stage(sysroot, request, signal),
    async setDefault(index, signal) {
      await admin("set-default", "choosing what boots next", [String(index)], signal);
    },
    async undeploy(index, signal) {
      await admin("undeploy", "removing a deployment", [String(index)], signal);
    },
    async pin(index, pinned, signal) {
      await admin("pin", "pinning a deployment", [...(pinned ? [] : ["--unpin"]), String(index)], signal);
    },
    async cleanup(signal) {
      await admin("cleanup", "deleting what no deployment uses", [], signal);
    },
    async unlock(signal) {
      // A mount made in the daemon's own namespace would be seen by nobody else.
      const { code, output } = await outside(["ostree", "admin", "unlock"], unlockLimit, signal);
      if (code !== 0) throw new AtollError("UNLOCK_FAILED", { problem: output });
    },
    async verify(checksum, remote, signal) {
      const args = ["show", `--repo=${repo}`, `--gpg-verify-remote=${remote}`, checksum];
      const { stdout } = await ostree(args, "checking who signed a tree", signal);
      return parseSignature(stdout);
    },
  };
}

function ostree(
  args: readonly string[],
  step: string,
  signal: AbortSignal,
  onLine?: (line: string) => void,
): Promise<RunResult> {
  return run(["ostree", ...args], {
    step,
    signal,
    hint: "the package ostree",
    log: "the journal of atolld.service",
    // Its words are read: no translation, no local time.
    env: { LC_ALL: "C", TZ: "UTC" },
    ...(onLine ? { onLine } : {}),
  });
}

async function pull(
  repo: string,
  branch: Branch,
  what: string,
  options: readonly string[],
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const from = `--url=${branch.url}`;
  const args = ["pull", `--repo=${repo}`, ...options, from, "--network-retries=2", branch.remote, what];
  try {
    await ostree(args, `fetching ${branch.ref} from ${branch.url}`, signal, onLine);
  } catch (error) {
    throw remoteFailure(error, branch);
  }
}

async function stage(sysroot: string, request: StageRequest, signal: AbortSignal): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "atoll-origin-"));
  try {
    const origin = join(scratch, "origin");
    await writeFile(origin, `[origin]\nrefspec=${request.origin}\n`);
    const words = request.kernelArguments.map((word) => `--karg-append=${word}`);
    const args = [
      "admin",
      "deploy",
      `--sysroot=${sysroot}`,
      `--os=${stateroot}`,
      "--stage",
      `--origin-file=${origin}`,
    ];
    await ostree([...args, "--karg-none", ...words, request.checksum], "staging the tree", signal);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
