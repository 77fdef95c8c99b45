import { define, exitCodes } from "../error-definition.ts";

/** What the fleet may refuse, or fail at. The registry is src/errors.ts. */
export const fleetErrors = define({
  UNIT_NAME_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{problem}",
    next: "name units like web.service, web@1.service or web.container: letters, digits and : _ . \\ @ -, then a type that docs/reference/units.md lists",
  },
  UNIT_TYPE_REFUSED: {
    status: 400,
    exit: exitCodes.usage,
    text: "a fleet starts no {type} units: {reason}",
    next: "use a unit of another type; docs/reference/units.md lists them",
  },
  UNIT_IS_TEMPLATE: {
    status: 400,
    exit: exitCodes.usage,
    text: "cannot activate template {name}",
    next: "give an instance of {template} a name behind the @",
  },
  UNIT_EXPANSION_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{pattern} cannot be expanded: {problem}",
    next: "write {1..5} for a range and {a,b} for a list; nothing was changed",
  },
  UNIT_DROPIN_FOREIGN: {
    status: 400,
    exit: exitCodes.usage,
    text: "{file} is no drop-in of {unit}",
    next: "name it {folder}/NAME.conf",
  },
  UNIT_LINE_TOO_LONG: {
    status: 400,
    exit: exitCodes.usage,
    text: "line too long (max {limit} bytes)",
    next: "make several assignments of it; lines that are continued count as one",
  },
  UNIT_NUL: {
    status: 400,
    exit: exitCodes.usage,
    text: "there is a NUL character in this line",
    next: "save the file as text in UTF-8",
  },
  UNIT_SECTION_HEADER: {
    status: 400,
    exit: exitCodes.usage,
    text: "{header} is no section header",
    next: "write a name in brackets, such as [Service], on a line of its own",
  },
  UNIT_NOT_ASSIGNMENT: {
    status: 400,
    exit: exitCodes.usage,
    text: "this line is no assignment: {line}",
    next: "write NAME=VALUE; comments begin with # or ; and a line goes on below when it ends in a backslash",
  },
  UNIT_OUTSIDE_SECTION: {
    status: 400,
    exit: exitCodes.usage,
    text: "this stands before the first section, and systemd ignores it: {line}",
    next: "move it below a section header such as [Unit]",
  },
  UNIT_SECTION_UNKNOWN: {
    status: 400,
    exit: exitCodes.usage,
    text: "nothing reads a section [{section}] in a .{type} file",
    next: "{suggestion}",
  },
  UNIT_KEY_UNKNOWN: {
    status: 400,
    exit: exitCodes.usage,
    text: "unrecognized requirement in [{section}] section: {key}",
    next: "{suggestion}",
  },
  UNIT_KEY_DEPRECATED: {
    status: 400,
    exit: exitCodes.usage,
    text: "{key}= in [{section}] is an old name of {newer}=, and still works",
    next: "write {newer}=",
  },
  UNIT_QUOTING: {
    status: 400,
    exit: exitCodes.usage,
    text: "a quote in {key}= is not closed, so systemd would ignore the assignment",
    next: 'close it, or write \\" for a quote that is meant',
  },
  UNIT_ESCAPE: {
    status: 400,
    exit: exitCodes.usage,
    text: "a backslash in {key}= begins no escape that systemd knows",
    next: "write \\\\ for a backslash that is meant",
  },
  UNIT_OPTIONS_EXCLUSIVE: {
    status: 400,
    exit: exitCodes.usage,
    text: "{first} cannot be used with {second}",
    next: "leave out {firstKey}= or {secondKey}=",
  },
  UNIT_OPTIONS_UNWRITABLE: {
    status: 400,
    exit: exitCodes.usage,
    text: "the options cannot be written as a unit file",
    next: "send names without = and newlines, and values in which only a backslash stands before a newline",
  },
  UNIT_UNRESOLVABLE: {
    status: 400,
    exit: exitCodes.usage,
    text: "unresolvable requirements: peer {peer} matches {kind} {pattern}",
    next: "the unit cannot be both beside and away from {peer}; make the pattern narrower, or leave out MachineOf=",
  },
  UNIT_TOO_MANY: {
    status: 400,
    exit: exitCodes.usage,
    text: "{key}= has more than {limit} values in one unit",
    next: "say the same with fewer: a pattern such as web@*.service stands for many names",
  },
  UNIT_VALUE_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{key}={value} in [{section}] is not valid: {problem}",
    next: "correct it; docs/reference/units.md has examples",
  },
  UNIT_VALUE_UNMET: {
    status: 400,
    exit: exitCodes.usage,
    text: "{key}={value} can never be met: {reason}",
    next: "correct it, or no machine will ever take the unit",
  },
  UNIT_VALUE_IGNORED: {
    status: 400,
    exit: exitCodes.usage,
    text: "{key}={value} has no effect: {reason}",
    next: "correct it, or leave it out",
  },
});
