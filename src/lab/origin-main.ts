import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { OriginConfig } from "./origin.ts";
import { serveFolder } from "./serve.ts";

// What serves the lab's machines: the OSTree repository over HTTP, and the container registry as a child. The two live
// and die together, so that "it runs" is one question. Started by src/lab/origin.ts, ended by SIGTERM.
const [configFile = ""] = process.argv.slice(2);
const config: OriginConfig = JSON.parse(readFileSync(configFile, "utf8"));

const server = serveFolder(config.repository, "/repo");
const [program = "", ...words] = config.registryCommand;
const registry = spawn(program, words, { stdio: ["ignore", "inherit", "inherit"] });

let ending = false;
function end(code: number): void {
  if (ending) return;
  ending = true;
  process.exitCode = code;
  registry.kill("SIGTERM");
  server.close();
  server.closeAllConnections();
}

process.on("SIGTERM", () => end(0));
process.on("SIGINT", () => end(0));
registry.on("error", (error) => {
  console.error(`the registry cannot be started: ${error.message}`);
  end(1);
});
registry.on("exit", (code) => {
  if (!ending) console.error(`the registry ended by itself, with code ${code}`);
  end(1);
});
server.on("error", (error) => {
  console.error(`port ${config.httpPort} cannot be served: ${error.message}`);
  end(1);
});
server.listen(config.httpPort, "127.0.0.1");
