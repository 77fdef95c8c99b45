import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { askQemu } from "./monitor.ts";

const greeting =
  '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 10}}, "capabilities": []}}\n';

/** Runs `work` against a server that greets as QEMU does and answers each command as `answer` says. */
async function withQemu(
  answer: (command: string, socket: Socket) => void,
  work: (path: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "atoll-qmp-"));
  const path = join(folder, "qmp");
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(greeting);
    createInterface({ input: socket }).on("line", (line) => answer(String(JSON.parse(line).execute), socket));
  });
  server.listen(path);
  await once(server, "listening");
  try {
    await work(path);
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
}

test("negotiates, passes over events, and gives what the command returns", async () => {
  const seen: string[] = [];
  await withQemu(
    (command, socket) => {
      seen.push(command);
      socket.write('{"event": "RESUME", "timestamp": {}}\n');
      socket.write(command === "query-status" ? '{"return": {"status": "running"}}\n' : '{"return": {}}\n');
    },
    async (path) => {
      assert.deepEqual(await askQemu(path, "query-status", { machine: "box" }), { status: "running" });
    },
  );
  assert.deepEqual(seen, ["qmp_capabilities", "query-status"]);
});

test("a QEMU that closes the connection as it quits has quit; for anything else that is a failure", async () => {
  const closing = (command: string, socket: Socket): void => {
    if (command === "qmp_capabilities") socket.write('{"return": {}}\n');
    else socket.end();
  };
  await withQemu(closing, async (path) => {
    await askQemu(path, "quit", { machine: "box" });
    await assert.rejects(askQemu(path, "system_powerdown", { machine: "box" }), (error) =>
      hasCode(error, "LAB_MONITOR_FAILED"),
    );
  });
});

test("refusals and missing sockets name the machine and the command", async () => {
  await withQemu(
    (_command, socket) => void socket.write('{"error": {"class": "GenericError", "desc": "no"}}\n'),
    async (path) => {
      await assert.rejects(
        askQemu(path, "system_powerdown", { machine: "box" }),
        (error) => hasCode(error, "LAB_MONITOR_FAILED") && /box.*system_powerdown/.test(error.message),
      );
    },
  );
  await assert.rejects(askQemu("/nonexistent/qmp", "system_powerdown", { machine: "box" }), (error) =>
    hasCode(error, "LAB_MONITOR_FAILED"),
  );
});
