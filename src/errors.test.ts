import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { errorsReference, errorsReferencePath } from "../scripts/docs.ts";
import { AtollError, asAtollError, errorTable, exitCodes, hasCode, isSystemError } from "./errors.ts";
import { projectRoot } from "./paths.ts";

/** Whose errors a room may meet beside its own and those of all: the arrows of docs/architecture.md. */
const below: Readonly<Record<string, readonly string[]>> = {
  api: ["host"],
  cli: ["api", "compose", "host", "lab"],
  compose: [],
  etcd: [],
  fleet: [],
  host: [],
  lab: ["api", "compose"],
  pki: [],
};
const rooms = Object.keys(below);

/** Codes in the errors.ts of each room, and what is left in the registry: those of all, as room "". */
async function codesByRoom(): Promise<Map<string, string[]>> {
  const byRoom = new Map<string, string[]>();
  for (const room of rooms) {
    const module: Record<string, object> = await import(join(projectRoot, "src", room, "errors.ts"));
    byRoom.set(room, Object.values(module).flatMap(Object.keys));
  }
  const theirs = new Set([...byRoom.values()].flat());
  return byRoom.set(
    "",
    Object.keys(errorTable).filter((code) => !theirs.has(code)),
  );
}

/** The text of a room's code, or of what lies directly in src/ (room ""), without tests and the tables themselves. */
function codeOf(room: string): string {
  return globSync(join(projectRoot, "src", room, room === "" ? "*.ts" : "**/*.ts"))
    .filter((path) => !path.endsWith(".test.ts") && (room === "" || basename(path) !== "errors.ts"))
    .map((path) => readFileSync(path, "utf8"))
    .join("\n");
}

test("a code is declared once, in the registry, and some code meets it", async () => {
  const byRoom = await codesByRoom();
  const codes = [...byRoom.values()].flat();
  assert.deepEqual(codes.toSorted(), Object.keys(errorTable).toSorted());
  const text = ["", ...rooms].map(codeOf).join("\n");
  for (const code of codes) assert.ok(text.includes(`"${code}"`), `nothing fails with ${code}`);
});

test("a room meets only its own errors, those below it, and those of all", async () => {
  const byRoom = await codesByRoom();
  for (const room of ["", ...rooms]) {
    const text = codeOf(room);
    for (const [owner, codes] of byRoom) {
      if (owner === "" || owner === room || below[room]?.includes(owner)) continue;
      for (const code of codes)
        assert.ok(!text.includes(`"${code}"`), `src/${room} names ${code} of ${owner}`);
    }
  }
});

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
