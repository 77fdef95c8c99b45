/**
 * The one registry of errors: those that every room may meet, and those that each room declares in its own errors.ts.
 * docs/reference/errors.md lists them all; src/errors.test.ts proves that the two agree.
 */
import { apiErrors } from "./api/errors.ts";
import { cliErrors } from "./cli/errors.ts";
import { composeErrors } from "./compose/errors.ts";
import { define, exitCodes } from "./error-definition.ts";
import { etcdErrors } from "./etcd/errors.ts";
import { fleetErrors } from "./fleet/errors.ts";
import { hostErrors } from "./host/errors.ts";
import { labErrors } from "./lab/errors.ts";
import { pkiErrors } from "./pki/errors.ts";

export { exitCodes };

const sharedErrors = define({
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
  GVARIANT_INVALID: {
    status: 500,
    exit: exitCodes.failed,
    text: "not a valid GVariant: {problem}",
    next: "the file is damaged; `ostree fsck` on the host names the objects to fetch again",
  },
  INTERRUPTED: {
    status: 499,
    exit: exitCodes.interrupted,
    text: "interrupted during: {step}",
    next: "run the same command again to go on; what a host or a machine was told before, it still does",
  },
});

export const errorTable = {
  ...sharedErrors,
  ...apiErrors,
  ...cliErrors,
  ...composeErrors,
  ...etcdErrors,
  ...fleetErrors,
  ...hostErrors,
  ...labErrors,
  ...pkiErrors,
} as const;

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

/** What the registry says of an error, for one that is told among others rather than thrown. */
export function errorWords(code: ErrorCode, parameters: ErrorParameters): { message: string; next: string } {
  const { text, next } = errorTable[code];
  return { message: fill(text, parameters), next: fill(next, parameters) };
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
