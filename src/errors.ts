/**
 * The one registry of errors. Each has a stable code, an exit code for the CLI, a status for the API,
 * a sentence with its parameters, and what to do next. docs/reference/errors.md lists them all;
 * src/errors.test.ts proves that the two agree. Codes are never reused.
 */

interface ErrorDefinition {
  /** HTTP status on the API. */
  readonly status: number;
  /** Process exit code of the CLI. */
  readonly exit: number;
  /** Sentence for a person; `{name}` is replaced by the parameter of that name. */
  readonly text: string;
  /** What to do next; may use the same parameters. */
  readonly next: string;
}

function define<const T extends Record<string, ErrorDefinition>>(table: T): T {
  return table;
}

/** Exit codes of the CLI, as documented in docs/reference/cli.md. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  busy: 4,
  unreachable: 5,
  nothingToDo: 77,
  interrupted: 130,
} as const;

export const errorTable = define({
  INTERNAL: {
    status: 500,
    exit: exitCodes.failed,
    text: "internal error: {cause}",
    next: "this is a defect in Atoll; please report it with the log",
  },
  USAGE: { status: 400, exit: exitCodes.usage, text: "{problem}", next: "see `{help}`" },
  COMMAND_FAILED: {
    status: 500,
    exit: exitCodes.failed,
    text: "{step}: `{command}` ended with {outcome}: {output}",
    next: "read the output above; the whole of it is in {log}",
  },
  COMMAND_MISSING: {
    status: 500,
    exit: exitCodes.failed,
    text: "{step}: the program `{program}` is not on this machine",
    next: "install it ({hint}) and run the same command again",
  },
  LOCK_FILE_UNUSABLE: {
    status: 500,
    exit: exitCodes.failed,
    text: "{step}: the lock file {path} cannot be used: {cause}",
    next: "give {folder} back to the user who runs this, with `chown`, and run the same command again",
  },
  INITRAMFS_PART_MISSING: {
    status: 500,
    exit: exitCodes.failed,
    text: "the initramfs needs {path}, which is not in the tree {root}",
    next: "add the package that brings it to the treefile (busybox, ostree-boot and a kernel are needed)",
  },
  INITRAMFS_MODULE_MISSING: {
    status: 400,
    exit: exitCodes.refused,
    text: "the kernel {kernel} has no module {names}, which the treefile wants in the initramfs",
    next: "correct `initramfs: modules` in the treefile, or choose another kernel package",
  },
  IMAGE_TOO_SMALL: {
    status: 400,
    exit: exitCodes.refused,
    text: "a disk of {size} MiB is too small for this tree: at least {needed} MiB are needed",
    next: "ask for a larger disk; unused space costs nothing in the image file",
  },
  IMAGE_TREE_UNFIT: {
    status: 400,
    exit: exitCodes.refused,
    text: "no bootable disk can be made of {commit}: {problem}",
    next: "compose the tree with a treefile that includes os/atoll.yaml, which brings the boot chain",
  },
  TOOLBOX_NO_NAMESPACE: {
    status: 500,
    exit: exitCodes.failed,
    text: "this account cannot make user namespaces with subordinate ids: {cause}",
    next: "install the package uidmap, give the account ids in /etc/subuid and /etc/subgid (`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME`), or run the same command as root",
  },
  TREEFILE_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{problems}",
    next: "correct the treefile; docs/reference/treefile.md lists its keys",
  },
  TREEFILE_MISSING: {
    status: 400,
    exit: exitCodes.usage,
    text: "there is no treefile {file} that can be read",
    next: "name a treefile: os/atoll.yaml is ours, examples/ has some that include it",
  },
  LOCK_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{file} is not a lock file that this Atoll can read: {problem}",
    next: "restore it from version control, or make it anew with `atoll compose --update-lock`",
  },
  PACKAGES_UNRESOLVED: {
    status: 409,
    exit: exitCodes.refused,
    text: "the packages of {file} cannot be installed together: {cause}",
    next: "correct `packages` and `exclude-packages`; nothing was changed",
  },
  PACKAGES_GONE: {
    status: 502,
    exit: exitCodes.failed,
    text: "Debian no longer has these locked packages:\n{packages}",
    next: "`atoll compose --update-lock` takes the versions that Debian has by now",
  },
  PACKAGES_UNFETCHED: {
    status: 502,
    exit: exitCodes.failed,
    text: "these packages could not be fetched:\n{packages}",
    next: "check the network and its proxy (`http_proxy`), and run the same command again: what came is kept",
  },
  IDS_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{file}:{line}: {problem}",
    next: "correct that line; it is in the format of /etc/passwd or /etc/group",
  },
  IDS_CONFLICT: {
    status: 409,
    exit: exitCodes.refused,
    text: "the id {id} is pinned for both {first} and {second}",
    next: "give one of them another id where it is pinned: in the treefile's `users` files or in its lock",
  },
  IDS_UNPINNED: {
    status: 409,
    exit: exitCodes.refused,
    text: "packages of this tree make users or groups whose ids nothing pins: {entries}",
    next: "run `atoll compose --update-lock`: the lock then pins them, and they never move again",
  },
  IDS_MOVED: {
    status: 409,
    exit: exitCodes.refused,
    text: "packages of this tree give pinned users or groups other ids: {entries}",
    next: "leave that package out, or report it: files on machines would change hands",
  },
  FILE_MISPLACED: {
    status: 400,
    exit: exitCodes.usage,
    text: "{file} cannot be laid over the tree: {problem}",
    next: "a tree holds /usr and /etc; for the rest use tmpfiles.d, a unit, or provisioning",
  },
  KERNEL_NOT_ONE: {
    status: 400,
    exit: exitCodes.usage,
    text: "a tree has exactly one kernel; the packages bring: {kernels}",
    next: "name one kernel in the treefile's `kernel.package` and none in `packages`",
  },
  VERSION_NOT_NEWER: {
    status: 409,
    exit: exitCodes.refused,
    text: "version {version} is not newer than {newest}, which the repository has already",
    next: "give a newer one, or none: the composer then counts on by itself",
  },
  SIGNING_KEY_LOST: {
    status: 500,
    exit: exitCodes.failed,
    text: "the key that signed the trees of {repository} is not in {folder}",
    next: "restore the folder from a backup; to start anew with another key remove it, and install machines afresh",
  },
  RELEASE_UNKNOWN: {
    status: 404,
    exit: exitCodes.usage,
    text: "{repository}: {problem} {name}",
    next: "name one by its version or its checksum; the newest are {known}",
  },
  RELEASE_UNDESCRIBED: {
    status: 409,
    exit: exitCodes.refused,
    text: "the commit {checksum} ({version}) does not list its packages",
    next: "compare trees that `atoll compose` made; `ostree diff` compares the files of any two",
  },
  WRITE_LOG_INVALID: {
    status: 500,
    exit: exitCodes.failed,
    text: "the log of a machine's disk writes, {file}, cannot be read: {problem}",
    next: "start the machine again with a new, empty log file",
  },
  GVARIANT_INVALID: {
    status: 500,
    exit: exitCodes.failed,
    text: "not a valid GVariant: {problem}",
    next: "the file is damaged; `ostree fsck` on the host names the objects to fetch again",
  },
  COMMIT_UNREADABLE: {
    status: 500,
    exit: exitCodes.failed,
    text: "the commit {checksum} cannot be read: {problem}",
    next: "run `ostree fsck` on the host; what it names is fetched again by the next `atoll host upgrade`",
  },
  HOST_NOT_ATOLL: {
    status: 500,
    exit: exitCodes.failed,
    text: "this machine is not booted from an Atoll deployment: {problem}",
    next: "run it on an Atoll host; `atoll --host NAME` picks one",
  },
  CONFIG_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{file}:{line}:{column}: {problem}",
    next: "correct that line; docs/host.md lists the keys",
  },
  REQUEST_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "the request to {route} is not valid: {problem}",
    next: "see /v1/openapi.json on the same socket for what the route takes",
  },
  NOT_FOUND: {
    status: 404,
    exit: exitCodes.usage,
    text: "there is no {what}",
    next: "see /v1/openapi.json on the same socket for the routes",
  },
  OPERATION_UNKNOWN: {
    status: 404,
    exit: exitCodes.usage,
    text: "there is no operation {id}",
    next: "GET /v1/operations lists those of this boot; `atoll host history` has what earlier ones did",
  },
  BUSY: {
    status: 409,
    exit: exitCodes.busy,
    text: "{verb} is running on this host since {since} (operation {id})",
    next: "wait for it, or cancel it with DELETE /v1/operations/{id}",
  },
  ON_TRIAL: {
    status: 409,
    exit: exitCodes.busy,
    text: "this boot is on trial (try {attempt}) and has no verdict yet",
    next: "wait for the verdict; `atoll host status` shows it",
  },
  DEPLOYMENT_UNKNOWN: {
    status: 404,
    exit: exitCodes.refused,
    text: 'no deployment or known version answers to "{name}"',
    next: "`atoll host status` lists deployments; versions are looked up in {where}",
  },
  DEPLOYMENT_AMBIGUOUS: {
    status: 409,
    exit: exitCodes.refused,
    text: '"{name}" names more than one: {matches}',
    next: "give more digits of the checksum, or the index",
  },
  NO_ROLLBACK: {
    status: 409,
    exit: exitCodes.refused,
    text: "there is no deployment to roll back to: this host has only the booted one",
    next: "`atoll host deploy VERSION` fetches an earlier version from the remote",
  },
  NO_REMOTE: {
    status: 409,
    exit: exitCodes.refused,
    text: "this host does not know where updates come from: {problem}",
    next: "set `update.url` in /etc/atoll/atoll.yaml, or `atoll host rebase REMOTE:REF`",
  },
  REMOTE_UNREACHABLE: {
    status: 502,
    exit: exitCodes.unreachable,
    text: "the remote {remote} at {url} does not answer: {problem}",
    next: "check the network and the address; nothing was changed, and the same command goes on where it stopped",
  },
  REF_UNKNOWN: {
    status: 404,
    exit: exitCodes.refused,
    text: "the remote {remote} at {url} has no {ref}",
    next: "check the name of the stream; `ostree remote refs {remote}` on the host lists what is there",
  },
  COMMIT_UNSIGNED: {
    status: 403,
    exit: exitCodes.refused,
    text: "the tree {version} ({checksum}) from {url} is not signed",
    next: "whoever runs that remote must sign it; nothing was changed on this host",
  },
  COMMIT_KEY_UNKNOWN: {
    status: 403,
    exit: exitCodes.refused,
    text: "the tree {version} ({checksum}) from {url} is signed with the key {key}, which this host does not trust",
    next: "trusted keys are in /usr/share/ostree/trusted.gpg.d; nothing was changed on this host",
  },
  COMMIT_KEY_REVOKED: {
    status: 403,
    exit: exitCodes.refused,
    text: "the tree {version} ({checksum}) from {url} is signed with the key {key}, which was revoked",
    next: "the tree must be signed again with a valid key; nothing was changed on this host",
  },
  COMMIT_KEY_EXPIRED: {
    status: 403,
    exit: exitCodes.refused,
    text: "the tree {version} ({checksum}) from {url} is signed with the key {key}, which has expired",
    next: "check this host's clock (`timedatectl`); otherwise the tree must be signed again",
  },
  COMMIT_SIGNATURE_BAD: {
    status: 403,
    exit: exitCodes.refused,
    text: "the signature of the tree {version} ({checksum}) from {url} does not match it: {problem}",
    next: "someone or something changed it on the way; nothing was changed on this host",
  },
  TREE_TAMPERED: {
    status: 403,
    exit: exitCodes.refused,
    text: "what came from {url} is not what was signed: {problem}",
    next: "the remote is damaged or was changed; nothing was changed on this host",
  },
  DOWNGRADE: {
    status: 409,
    exit: exitCodes.refused,
    text: "the remote's {version} is older than the {current} that runs",
    next: "to go back on purpose: `--allow-downgrade`, or `atoll host deploy {version}`",
  },
  REMEMBERED_BAD: {
    status: 409,
    exit: exitCodes.refused,
    text: "{version} ({checksum}) was tried on {at} and fell back: {reason}",
    next: "`atoll host history` has its logs; to try it all the same: `atoll host deploy {checksum}`",
  },
  NO_SPACE: {
    status: 507,
    exit: exitCodes.refused,
    text: "the update does not fit: it needs {needed} on {where}, and {available} can be used",
    next: "free {missing} there (`podman image prune`, `journalctl --vacuum-size=`, `atoll host cleanup --rollback`); nothing was changed",
  },
  KARG_UNKNOWN: {
    status: 409,
    exit: exitCodes.refused,
    text: "the kernel argument {argument} is not set",
    next: "`atoll host status` shows the arguments; nothing was changed",
  },
  KARG_AMBIGUOUS: {
    status: 409,
    exit: exitCodes.refused,
    text: "the kernel argument {argument} is set several times: {matches}",
    next: "name the one that you mean, with its value; nothing was changed",
  },
  KARG_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: '"{argument}" cannot be a kernel argument: {problem}',
    next: "give KEY or KEY=VALUE, one word; nothing was changed",
  },
  KARGS_REMEMBERED_BAD: {
    status: 409,
    exit: exitCodes.refused,
    text: "{version} with these kernel arguments was tried on {at} and fell back: {reason}",
    next: "`atoll host history` has its logs; to try them all the same: `atoll host kargs --again …`",
  },
  UNLOCK_FAILED: {
    status: 500,
    exit: exitCodes.failed,
    text: "/usr could not be made writable: {problem}",
    next: "nothing was changed; `journalctl -u atolld` has more",
  },
  PIN_STAGED: {
    status: 409,
    exit: exitCodes.refused,
    text: "{version} is only staged, and a staged deployment cannot be pinned",
    next: "reboot into it, then pin it",
  },
  UPDATE_UNKNOWN: {
    status: 409,
    exit: exitCodes.refused,
    text: "no update is known",
    next: "`atoll host upgrade --check` looks for one",
  },
  PACKAGES_UNKNOWN: {
    status: 409,
    exit: exitCodes.refused,
    text: "the tree {version} ({checksum}) does not list its packages",
    next: "only trees made by `atoll compose` can be compared",
  },
  NOT_CANCELLABLE: {
    status: 409,
    exit: exitCodes.refused,
    text: "the operation {id} has ended already",
    next: "`atoll host status` shows what came of it",
  },
  HOST_UNREACHABLE: {
    status: 503,
    exit: exitCodes.unreachable,
    text: "{host} cannot be reached: {cause}",
    next: "check that it runs (`atoll lab list` for machines of the lab) and that its address and your key are right",
  },
  HOST_UNKNOWN: {
    status: 404,
    exit: exitCodes.refused,
    text: "which host? This computer is none, and the lab has no machine",
    next: "make one with `atoll lab up`, or name one with --host or ATOLL_HOST",
  },
  HOST_OPERATION_LOST: {
    status: 503,
    exit: exitCodes.failed,
    text: "the connection to {host} ended before the outcome was known (it was {state})",
    next: "see `atoll status` and `atoll host history`",
  },
  HOST_NOT_BACK: {
    status: 504,
    exit: exitCodes.unreachable,
    text: "{host} has not come back, or reached no verdict, within {minutes} minutes",
    next: "look at its console (`atoll lab console` for a machine of the lab)",
  },
  LAB_CONSOLE_TAKEN: {
    status: 409,
    exit: exitCodes.refused,
    text: "the console of {name} cannot be had: {cause}",
    next: "leave it in the other terminal, or read it with `atoll lab logs {name}`",
  },
  LAB_NAME_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: '"{name}" cannot be the name of a machine',
    next: "use 1 to 32 of a-z, 0-9 and -, with a letter or digit first and last",
  },
  LAB_PATH_TOO_LONG: {
    status: 400,
    exit: exitCodes.refused,
    text: "the path of the lab, {path}, is too long: its sockets would have names of more than {limit} bytes",
    next: "set ATOLL_STATE to a folder with a shorter name",
  },
  LAB_NO_MACHINE: {
    status: 404,
    exit: exitCodes.refused,
    text: "the lab has no machine named {name} (it has: {known})",
    next: "see `atoll lab list`, or make one with `atoll lab up`",
  },
  LAB_EMPTY: {
    status: 404,
    exit: exitCodes.refused,
    text: "the lab has no machine",
    next: "make one with `atoll lab up`",
  },
  LAB_RECORD_INVALID: {
    status: 500,
    exit: exitCodes.failed,
    text: "{file} is not what the lab wrote: {problem}",
    next: "mend the file, or remove its folder: the machine is gone then",
  },
  LAB_MACHINE_EXISTS: {
    status: 409,
    exit: exitCodes.refused,
    text: "the lab has a machine named {name} already",
    next: "choose another name, or remove it with `atoll lab remove {name}`",
  },
  LAB_RUNNING: {
    status: 409,
    exit: exitCodes.refused,
    text: "{name} runs",
    next: "stop it first: `atoll lab stop {name}`",
  },
  LAB_NOT_RUNNING: {
    status: 409,
    exit: exitCodes.refused,
    text: "{name} does not run",
    next: "start it first: `atoll lab start {name}`",
  },
  LAB_START_FAILED: {
    status: 500,
    exit: exitCodes.failed,
    text: "starting {name}: QEMU says: {cause}",
    next: "all that it said is in {log}",
  },
  LAB_ORIGIN_FAILED: {
    status: 500,
    exit: exitCodes.failed,
    text: "what serves the lab's machines did not start: {cause}",
    next: "all that it said is in {log}; if a port is taken, end what has taken it",
  },
  LAB_NOT_WELL: {
    status: 500,
    exit: exitCodes.failed,
    text: "{name} did not come up well: {cause}",
    next: "see `atoll lab logs {name}` and, if it can be reached, `atoll host health --host {name}`; it was left as it is",
  },
  LAB_NO_PAGE: {
    status: 500,
    exit: exitCodes.failed,
    text: "the sample page of {name} does not answer at {url}: {cause}",
    next: "see `atoll lab ssh {name} -- journalctl -u sample-web`",
  },
  PREREQUISITES_MISSING: {
    status: 500,
    exit: exitCodes.refused,
    text: "this computer lacks programs, and they cannot be installed from here: {cause}",
    next: "install by hand, on Debian {packages} (elsewhere the packages of the same programs), and run the same command again",
  },
  LAB_MONITOR_FAILED: {
    status: 500,
    exit: exitCodes.failed,
    text: "QEMU of {machine} did not do {command}: {cause}",
    next: "look at it with `atoll lab console {machine}`; `atoll lab stop --force {machine}` pulls the plug",
  },
  PROVISIONING_INVALID: {
    status: 400,
    exit: exitCodes.refused,
    text: "a machine cannot be provisioned so: {problem}",
    next: "correct that and run the same command again",
  },
  INTERRUPTED: {
    status: 499,
    exit: exitCodes.interrupted,
    text: "interrupted during: {step}",
    next: "nothing was left running; run the same command again to go on",
  },
});

export type ErrorCode = keyof typeof errorTable;
export type ErrorParameters = Readonly<Record<string, string | number>>;

/** An error with a code from the registry. `message` is the whole sentence for a person. */
export class AtollError extends Error {
  override readonly name = "AtollError";
  readonly code: ErrorCode;
  readonly parameters: ErrorParameters;

  constructor(code: ErrorCode, parameters: ErrorParameters = {}, cause?: unknown) {
    super(fill(errorTable[code].text, parameters), cause === undefined ? undefined : { cause });
    this.code = code;
    this.parameters = parameters;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get exit(): number {
    return errorTable[this.code].exit;
  }

  /** What the user can do next. */
  get next(): string {
    return fill(errorTable[this.code].next, this.parameters);
  }
}

function fill(text: string, parameters: ErrorParameters): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(parameters[name] ?? whole));
}

/** True when `error` is an AtollError with one of `codes`. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is AtollError {
  return error instanceof AtollError && codes.includes(error.code);
}

/** Any thrown value as an AtollError: its own, or INTERNAL around it. */
export function asAtollError(error: unknown): AtollError {
  if (error instanceof AtollError) return error;
  const cause = error instanceof Error ? error.message : String(error);
  return new AtollError("INTERNAL", { cause }, error);
}

/** True for a Node.js system error with one of `codes` (ENOENT, EEXIST, …). */
export function isSystemError(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  return (
    error instanceof Error && "code" in error && typeof error.code === "string" && codes.includes(error.code)
  );
}
