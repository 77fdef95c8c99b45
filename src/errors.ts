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
  TOOLBOX_NO_NAMESPACE: {
    status: 500,
    exit: exitCodes.failed,
    text: "this account cannot make user namespaces with subordinate ids: {cause}",
    next: "install the package uidmap, give the account ids in /etc/subuid and /etc/subgid (`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME`), or run the same command as root",
  },
  WRITE_LOG_INVALID: {
    status: 500,
    exit: exitCodes.failed,
    text: "the log of a machine's disk writes, {file}, cannot be read: {problem}",
    next: "start the machine again with a new, empty log file",
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
