/** atolld: the daemon on every machine. What it is made of, and in which order that starts and stops. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import packageJson from "../package.json" with { type: "json" };
import { routes } from "./api/routes.ts";
import { api, serve } from "./api/server.ts";
import { asAtollError } from "./errors.ts";
import { systemClock } from "./host/clock.ts";
import { configFiles, readConfig } from "./host/config.ts";
import { podman } from "./host/containers.ts";
import { localDisk } from "./host/disk.ts";
import { greenbootRoots } from "./host/greenboot.ts";
import { grubEnvironment } from "./host/grubenv.ts";
import { openHost } from "./host/host.ts";
import { journalctl } from "./host/journal.ts";
import { type Log, standardLog } from "./host/log.ts";
import { ipNetwork } from "./host/network.ts";
import { openOperations } from "./host/operations.ts";
import { ostreeProgram } from "./host/ostree.ts";
import type { Ports } from "./host/ports.ts";
import { openStore } from "./host/store.ts";
import { hostPaths } from "./host/sysroot.ts";
import { systemctl } from "./host/systemd.ts";
import { serviceManager } from "./notify.ts";

const run = "/run/atoll";
const socket = `${run}/api.sock`;
const state = "/var/lib/atoll";

async function main(log: Log, signal: AbortSignal): Promise<void> {
  const manager = serviceManager(process.env);
  const ports = await openPorts(log);
  const operations = openOperations({ clock: ports.clock, log, marker: ports.store.marker });
  const host = openHost(ports, operations);
  const { version } = packageJson;
  const server = await serve(api(routes(), { host, version }, log), socket);
  manager.ready("serving");
  const watchdog = manager.startWatchdog();
  try {
    await host.settle(signal);
    await Promise.all([host.watchForUpdates(signal), host.watchBaseline(signal), stopped(signal)]);
  } finally {
    manager.stopping();
    await operations.stop();
    await server.stop();
    watchdog.stop();
  }
}

async function openPorts(log: Log): Promise<Ports> {
  const clock = systemClock();
  const systemd = systemctl();
  return {
    config: await readConfig(configFiles),
    paths: {
      sysroot: hostPaths,
      verdict: `${run}/verdict.json`,
      judging: `${run}/judging`,
      motd: "/etc/motd.d/boot-status",
      greenboot: greenbootRoots,
    },
    store: openStore(state, run, log),
    bootLoader: grubEnvironment("/boot/grub/grubenv"),
    ostree: ostreeProgram("/", systemd.runOutside),
    systemd,
    journal: journalctl(),
    network: ipNetwork(),
    containers: podman(),
    disk: localDisk(),
    clock,
    log,
    commandLine: readFileSync("/proc/cmdline", "utf8"),
    bootedAt: bootTime(readFileSync("/proc/stat", "utf8")),
    boot: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    hostname,
    selfCheck,
  };
}

/** When the kernel started, from the `btime` line of /proc/stat. */
function bootTime(stat: string): string {
  return new Date(Number(/^btime (\d+)$/m.exec(stat)?.[1] ?? 0) * 1000).toISOString();
}

/** Asks itself over the socket, as any client would. */
function selfCheck(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    // Not an import: see src/api/server.ts.
    const asked = process
      .getBuiltinModule("node:http")
      .request({ socketPath: socket, path: "/v1/version", signal }, (response) => {
        response.resume();
        if (response.statusCode === 200) resolve();
        else reject(new Error(`atolld answers with status ${response.statusCode ?? "none"}`));
      });
    asked.setTimeout(10_000, () => asked.destroy(new Error("atolld does not answer on its socket")));
    asked.once("error", reject);
    asked.end();
  });
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

const log = standardLog((line) => process.stdout.write(line));
const stop = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort());
try {
  await main(log, stop.signal);
} catch (thrown) {
  if (!stop.signal.aborted) {
    const error = asAtollError(thrown);
    log.error(`${error.code}: ${error.message}`);
    if (error.code === "INTERNAL" && thrown instanceof Error) log.error(thrown.stack ?? "");
    process.exitCode = 1;
  }
}
