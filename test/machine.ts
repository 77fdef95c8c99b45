import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type HostClient, HostFailure, hostClient } from "../src/api/client.ts";
import type {
  HistoryResponse,
  HostRequests,
  HostVerb,
  OperationResult,
  StatusResponse,
  Verdict,
} from "../src/api/types.ts";
import { hasCode } from "../src/errors.ts";
import {
  createMachine,
  getMachine,
  killMachine,
  type LabTools,
  type MachineSpec,
  markProvisioned,
  startMachine,
} from "../src/lab/machine.ts";
import { type MachineFiles, type MachineRecord, machineFiles } from "../src/lab/record.ts";
import { signalProcess } from "../src/lab/running.ts";
import { closeConnection, labTarget, openApiSocket, sshRun } from "../src/lab/ssh.ts";
import { applyWrites, readWriteLog, survivingWrites, type WriteLog } from "../src/lab/writelog.ts";
import { cacheDirectory } from "../src/paths.ts";
import type { RunResult } from "../src/process.ts";
import { Console } from "./console.ts";
import type { Random } from "./seed.ts";
import { verdictLine } from "./trees.ts";

/** How long any one thing may take that a machine does. Emulated and under load it is slow; hung is hung. */
const patienceMs = 15 * 60_000;

/** What a power cut left of the guest's writes. */
export interface CutReport {
  readonly writes: number;
  readonly lost: number;
  readonly torn: number;
}

/** One machine of the lab under test. It waits for what the machine says, never for time to pass. */
export class TestMachine {
  readonly #tools: LabTools;
  readonly name: string;
  readonly files: MachineFiles;
  readonly console: Console;
  /** Where on the console the boot that runs, or is to come, begins. */
  #boot = 0;
  /** How often it was turned on: a question to it does not outlive a cut of its power. */
  #life = 0;

  constructor(tools: LabTools, name: string) {
    this.#tools = tools;
    this.name = name;
    this.files = machineFiles(tools.lab, name);
    this.console = new Console(this.files.consoleLog);
  }

  async create(spec: Omit<MachineSpec, "name">): Promise<void> {
    await createMachine(this.#tools, { ...spec, name: this.name });
    await writeFile(this.files.consoleLog, "");
  }

  /** Turns it on. With `cuttable`, its writes are logged, and only `cutPower` and `turnOff` make them last. */
  async turnOn(options: { readonly cuttable?: boolean } = {}): Promise<void> {
    this.#boot = await this.console.mark();
    this.#life += 1;
    await startMachine(this.#tools, this.name, options.cuttable ? { writeLog: this.#writeLog } : {});
  }

  get #writeLog(): string {
    return join(this.files.directory, "writes.log");
  }

  /** The next boot, not the one that runs, is what `judged` waits for. Call it before asking for a reboot. */
  async expectReboot(): Promise<void> {
    this.#boot = await this.console.mark();
  }

  /**
   * Waits for a verdict on the boot that runs, or a later one, that `wanted` takes; any when absent. From then on
   * `ssh` and the API are that boot's.
   */
  async judged(wanted: (verdict: Verdict) => boolean = () => true): Promise<Verdict> {
    const limit = AbortSignal.timeout(patienceMs);
    for (;;) {
      const match = await this.console.waitFor(verdictLine, this.#boot, limit);
      this.#boot += match.index + match[0].length;
      const verdict: Verdict = JSON.parse(match[1] ?? "");
      if (!wanted(verdict)) continue;
      await closeConnection(this.files);
      await markProvisioned(this.#tools, this.name);
      return verdict;
    }
  }

  async #record(): Promise<MachineRecord> {
    return (await getMachine(this.#tools.lab, this.name)).record;
  }

  /** The port of this computer that leads to port `guest` of the machine. */
  async port(guest: number): Promise<number> {
    const forward = (await this.#record()).forwards.find((each) => each.guest === guest);
    if (!forward) throw new Error(`${this.name} has no forward to port ${guest}`);
    return forward.host;
  }

  /** Runs a shell command line in the machine as root. */
  async ssh(command: string, accept: readonly number[] = [0]): Promise<RunResult> {
    const signal = AbortSignal.timeout(patienceMs);
    return sshRun(labTarget(this.#tools.lab, await this.#record()), command, {
      step: `running a command on ${this.name}`,
      accept,
      signal,
    });
  }

  /** The daemon's API, for one question. */
  async #api(): Promise<HostClient> {
    const signal = AbortSignal.timeout(patienceMs);
    const socketPath = await openApiSocket(labTarget(this.#tools.lab, await this.#record()), signal);
    return hostClient({ name: this.name, socketPath, signal });
  }

  /**
   * Asks until there is an answer: SSH gives up on a machine that a busy computer starves for too long. Fails at once
   * when the machine is off.
   */
  async #patiently<T>(question: (api: HostClient) => Promise<T>): Promise<T> {
    const limit = AbortSignal.timeout(patienceMs);
    const life = this.#life;
    for (;;) {
      try {
        return await question(await this.#api());
      } catch (error) {
        const { running } = await getMachine(this.#tools.lab, this.name);
        const gone = !running || life !== this.#life || limit.aborted;
        if (gone || !hasCode(error, "HOST_UNREACHABLE")) throw error;
        await closeConnection(this.files);
        await sleep(500);
      }
    }
  }

  async status(): Promise<StatusResponse> {
    return this.#patiently((api) => api.status());
  }

  /** The newest entries of its history. */
  async history(): Promise<HistoryResponse> {
    return this.#patiently((api) => api.history(50));
  }

  /** Looks at the host's status until `holds` is true of it. */
  async until(holds: (status: StatusResponse) => boolean): Promise<StatusResponse> {
    const limit = AbortSignal.timeout(patienceMs);
    for (;;) {
      const status = await this.status();
      if (holds(status)) return status;
      if (limit.aborted) throw new Error(`waited in vain; status is ${JSON.stringify(status, null, 2)}`);
      await sleep(200);
    }
  }

  /** Does an operation to its end. Throws the HostFailure with which it was refused, or ended. */
  async change<V extends HostVerb>(verb: V, parameters: HostRequests[V]): Promise<OperationResult> {
    const { id } = await (await this.#api()).begin(verb, parameters);
    return this.#patiently(async (api) => {
      const result = await outcomeOf(api, id);
      if (result === null) throw new Error(`${verb} on ${this.name} ended without a result`);
      return result;
    });
  }

  /**
   * Does an operation that ends in a reboot, whose next boot `judged` then waits for. How it ended may be lost with the
   * boot that it ends: the connection breaks, or the next boot's daemon knows nothing of it. A refusal is thrown.
   */
  async changeAndReboot<V extends HostVerb>(verb: V, parameters: HostRequests[V]): Promise<void> {
    await this.expectReboot();
    const api = await this.#api();
    const { id } = await api.begin(verb, parameters);
    try {
      await outcomeOf(api, id);
    } catch (error) {
      const lost = error instanceof HostFailure && error.body.code === "OPERATION_UNKNOWN";
      if (!lost && !hasCode(error, "HOST_UNREACHABLE")) throw error;
    }
  }

  /** Reboots it, and comes back where GRUB starts the next boot: the one that `judged` then waits for. */
  async rebootUntilLoader(): Promise<void> {
    await this.expectReboot();
    const mark = this.#boot;
    // The connection may break before the command has told how it ended.
    await this.ssh("systemctl reboot", [0, 255]).catch(() => {});
    await this.console.waitFor(/atoll: ostree-\d .*/, mark, AbortSignal.timeout(patienceMs));
  }

  /** Bytes of writes that the machine has made since `turnOn`. */
  async written(): Promise<number> {
    return (await stat(this.#writeLog)).size;
  }

  /** Waits until `written` is at least `bytes`, or `limit` fires: true when it came to that. */
  async wrote(bytes: number, limit: AbortSignal): Promise<boolean> {
    while ((await this.written()) < bytes) {
      if (limit.aborted) return false;
      await sleep(1);
    }
    return true;
  }

  /**
   * Cuts the power of a machine that was turned on `cuttable`: what it had not flushed is lost in part, as `random`
   * says.
   */
  async cutPower(random: Random): Promise<CutReport> {
    const log = await this.#freeze();
    await killMachine(this.#tools, this.name);
    const survivors = survivingWrites(log.entries, random);
    await applyWrites(this.#writeLog, log.sectorSize, survivors, this.files.disk);
    const writes = log.entries.filter((entry) => entry.sectors > 0 && !entry.discard).length;
    return {
      writes,
      lost: writes - survivors.length,
      torn: survivors.filter(({ entry, count }) => count < entry.sectors).length,
    };
  }

  /** Pulls the plug of a machine whose disk loses nothing, or keeps all that a cuttable one wrote. */
  async turnOff(): Promise<void> {
    await killMachine(this.#tools, this.name);
  }

  /**
   * Stops QEMU where it is. A stopped process has no half-done system call, so every entry in the log is whole; but
   * of two that QEMU was writing at once, the earlier may be missing. Then it goes on for a moment.
   */
  async #freeze(): Promise<WriteLog> {
    const { process: qemu } = await this.#record();
    if (!qemu) throw new Error(`${this.name} does not run`);
    const { size } = await stat(this.files.disk);
    for (let attempt = 0; attempt < 100; attempt++) {
      if (!(await signalProcess(qemu, "SIGSTOP"))) throw new Error(`${this.name} ended by itself`);
      while (!(await isStopped(qemu.pid))) await sleep(1);
      const log = await readWriteLog(this.#writeLog, size);
      if (log.whole) return log;
      await signalProcess(qemu, "SIGCONT");
      await sleep(2);
    }
    throw new Error(`the log of ${this.name}'s writes never was whole`);
  }

  /** Keeps what tells how it failed, and says where. */
  async keepEvidence(): Promise<void> {
    const folder = join(
      cacheDirectory(),
      "failed-tests",
      `${new Date().toISOString().replaceAll(":", "")}-${this.name}`,
    );
    await mkdir(folder, { recursive: true });
    const journal = await this.ssh("journalctl --no-pager -o short-monotonic -b all", [0, 1]).catch(
      () => null,
    );
    if (journal) await writeFile(join(folder, "journal.log"), journal.stdout);
    for (const file of [this.files.consoleLog, this.files.qemuLog]) {
      await copyFile(file, join(folder, file.slice(this.files.directory.length + 1))).catch(() => {});
    }
    process.stdout.write(`        evidence of ${this.name} is kept in ${folder}\n`);
  }

  /** Leaves nothing of it. */
  async remove(): Promise<void> {
    await killMachine(this.#tools, this.name);
    await closeConnection(this.files);
    await rm(this.files.directory, { recursive: true, force: true });
  }
}

/** Whether every thread of `pid` has been stopped (proc_pid_stat(5): state T). */
async function isStopped(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`);
  const states = await Promise.all(
    threads.map(async (thread) => {
      const line = await readFile(`/proc/${pid}/task/${thread}/stat`, "utf8").catch(() => ") T");
      return line.slice(line.lastIndexOf(")") + 2, line.lastIndexOf(")") + 3);
    }),
  );
  return states.every((state) => state === "T" || state === "t");
}

/** What an operation came to; null when its events end before that. Throws the HostFailure with which it ended. */
async function outcomeOf(api: HostClient, id: string): Promise<OperationResult | null> {
  for await (const event of api.events(id)) {
    if (event.type === "result") return event.result;
    if (event.type === "error") throw new HostFailure(event.error);
  }
  return null;
}
