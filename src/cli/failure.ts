import { HostFailure } from "../api/client.ts";
import type { ErrorBody } from "../api/types.ts";
import { asAtollError, type ErrorCode, errorTable, exitCodes } from "../errors.ts";

export interface FailureDescription extends ErrorBody {
  /** Exit code for the process. */
  readonly exit: number;
}

/** Anything thrown, as it is shown. A newer daemon may know codes that this command does not: those exit with 1. */
export function describe(error: unknown): FailureDescription {
  if (error instanceof HostFailure) {
    const { code } = error.body;
    return { ...error.body, exit: isKnown(code) ? errorTable[code].exit : exitCodes.failed };
  }
  const { code, message, next, parameters, exit } = asAtollError(error);
  return { code, message, next, parameters, exit };
}

function isKnown(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code);
}
