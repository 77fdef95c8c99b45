import { define, exitCodes } from "../error-definition.ts";

/** What the lab may refuse, or fail at. The registry is src/errors.ts. */
export const labErrors = define({
  WRITE_LOG_INVALID: {
    status: 500,
    exit: exitCodes.failed,
    text: "the log of a machine's disk writes, {file}, cannot be read: {problem}",
    next: "start the machine again with a new, empty log file",
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
  LAB_RECORD_INVALID: {
    status: 500,
    exit: exitCodes.failed,
    text: "{file} is not what the lab wrote: {problem}",
    next: "mend the file, or, if it is a machine's, remove that: `atoll lab remove NAME`",
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
});
