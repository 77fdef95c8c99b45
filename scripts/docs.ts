import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openApiDocument } from "../src/api/openapi.ts";
import { routes } from "../src/api/routes.ts";
import { cliReference } from "../src/cli/reference.ts";
import { treefileJsonSchema } from "../src/compose/treefile-schema.ts";
import { errorTable } from "../src/errors.ts";
import { projectRoot } from "../src/paths.ts";

export const openApiReferencePath: string = join(projectRoot, "docs", "reference", "openapi.json");
export const errorsReferencePath: string = join(projectRoot, "docs", "reference", "errors.md");

export const cliReferencePath: string = join(projectRoot, "docs", "reference", "cli.md");

/** docs/reference/errors.md as it must be for the registry of errors as it is. */
export function errorsReference(): string {
  const rows = Object.entries(errorTable)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([code, e]) => `| \`${code}\` | ${e.exit} | ${e.status} | ${cell(e.text)} | ${cell(e.next)} |`);
  return [
    "# Errors",
    "",
    "Every refusal has a code that never changes its meaning. The command line shows code, sentence and next step;",
    "the API sends `{error: {code, message, next, parameters}}` with the status. Words in braces are filled in.",
    "This page is made from the tables that `src/errors.ts` puts together, by `scripts/run docs`; a test fails when the two differ.",
    "",
    "| code | exit code | HTTP status | sentence | what to do |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** docs/reference/openapi.json as it must be for the routes as they are. */
export function openApiReference(): string {
  return `${JSON.stringify(openApiDocument(routes()), null, 2)}\n`;
}

/** Writes every reference page that is made from code. */
export function writeReferences(): void {
  writeFileSync(openApiReferencePath, openApiReference());
  writeFileSync(errorsReferencePath, errorsReference());
  writeFileSync(cliReferencePath, cliReference());
  writeFileSync(join(projectRoot, "docs", "reference", "treefile.schema.json"), treefileJsonSchema());
}
