import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { errorsReference, errorsReferencePath } from "../scripts/docs.ts";
import { AtollError, asAtollError, errorTable, exitCodes, hasCode, isSystemError } from "./errors.ts";

test("docs/reference/errors.md lists exactly the registry (mend with: scripts/run docs)", () => {
  assert.equal(readFileSync(errorsReferencePath, "utf8"), errorsReference());
});

test("every error has an exit code of the documented list and a client or server status", () => {
  const known = new Set<number>(Object.values(exitCodes));
  const entries: [string, { exit: number; status: number }][] = Object.entries(errorTable);
  for (const [code, { exit, status }] of entries) {
    assert.ok(known.has(exit) && exit !== 0, `${code}: exit ${exit}`);
    assert.ok((status >= 400 && status < 600) || exit === exitCodes.nothingToDo, `${code}: status ${status}`);
  }
});

test("the same words fill sentence and next step", () => {
  const error = new AtollError("USAGE", { problem: "no such command: fly", help: "atoll --help" });
  assert.equal(error.message, "no such command: fly");
  assert.equal(error.next, "see `atoll --help`");
  assert.ok(hasCode(error, "USAGE") && !hasCode(error, "INTERNAL"));
});

test("anything thrown becomes an AtollError that keeps its cause", () => {
  const cause = new TypeError("x is not a function");
  const error = asAtollError(cause);
  assert.equal(error.code, "INTERNAL");
  assert.equal(error.cause, cause);
  assert.equal(asAtollError(error), error);
  assert.equal(isSystemError(Object.assign(new Error("gone"), { code: "ENOENT" }), "ENOENT"), true);
});
