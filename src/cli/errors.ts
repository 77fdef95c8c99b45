import { define, exitCodes } from "../error-definition.ts";

/** What the command line may refuse, or fail at, beyond what it passes on. The registry is src/errors.ts. */
export const cliErrors = define({
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
  LAB_EMPTY: {
    status: 404,
    exit: exitCodes.refused,
    text: "the lab has no machine",
    next: "make one with `atoll lab up`",
  },
  LAB_NOT_RUNNING: {
    status: 409,
    exit: exitCodes.refused,
    text: "{name} does not run",
    next: "start it first: `atoll lab start {name}`",
  },
});
