/** What an error is, for the tables of errors: src/errors.ts puts them together. Imports nothing, so that it can. */

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

/** A table of errors, by code. A code never changes its meaning and is never used again. */
export function define<const T extends Record<string, ErrorDefinition>>(table: T): T {
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
