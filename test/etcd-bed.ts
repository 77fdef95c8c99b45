import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openToolbox, type Toolbox } from "../src/compose/toolbox.ts";
import { memberStatus } from "../src/etcd/cluster.ts";
import type { TlsMaterial } from "../src/etcd/connection.ts";
import { type EtcdChannel, openChannel } from "../src/etcd/grpc-channel.ts";
import { freePort } from "../src/lab/ports.ts";
import { cacheDirectory } from "../src/paths.ts";
import { silent } from "../src/progress.ts";

/** How long a real etcd may take to start on a busy computer. */
const startMs = 60_000;

interface BedOptions {
  readonly members?: number;
  readonly flags?: readonly string[];
  /** Flags that name certificates, and what the bed's own clients then need. */
  readonly tls?: { readonly flags: readonly string[]; readonly client: TlsMaterial };
}

/** A real etcd of one or more members on this computer, in a temporary folder. */
export interface EtcdBed {
  readonly folder: string;
  readonly toolbox: Toolbox;
  readonly members: readonly TestMember[];
  readonly endpoints: readonly string[];
  /** A channel to all members, or those named; closed with the bed. */
  channel(endpoints?: readonly string[]): EtcdChannel;
  /** Starts one more member, of which the others know (`flags` say how it joins). */
  add(flags: readonly string[], prepare: (member: TestMember) => Promise<string>): Promise<TestMember>;
  /** A door to a member that can be shut while connections pass through it; at 127.0.0.1 when no address, nor the path of a socket, is named. */
  door(member: TestMember, address?: string): Promise<Door>;
  close(): Promise<void>;
}

export class TestMember {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
  readonly port: number;
  readonly #argv: (cluster: string, state: string) => [string, ...string[]];
  #process: ChildProcess | null = null;
  #output = "";

  constructor(name: string, ports: { client: number; peer: number }, options: MemberOptions) {
    const scheme = options.secure ? "https" : "http";
    this.name = name;
    this.port = ports.client;
    this.client = `${scheme}://127.0.0.1:${ports.client}`;
    this.peer = `http://127.0.0.1:${ports.peer}`;
    this.#argv = (cluster, state) =>
      options.toolbox.argv([
        "setpriv",
        // A test that is killed takes it along.
        ...["--pdeathsig", "KILL", "etcd"],
        ...["--name", name, "--data-dir", join(options.folder, name), "--log-level", "warn"],
        ...["--listen-client-urls", this.client, "--advertise-client-urls", this.client],
        ...["--listen-peer-urls", this.peer, "--initial-advertise-peer-urls", this.peer],
        ...["--initial-cluster", cluster, "--initial-cluster-state", state],
        // Nobody cuts the power here, and the disk is everybody's.
        "--unsafe-no-fsync",
        ...options.flags,
      ]);
  }

  get output(): string {
    return this.#output;
  }

  /** A member that was there before ignores what it is told about the cluster. */
  start(cluster = `${this.name}=${this.peer}`, state = "new"): void {
    const [program, ...words] = this.#argv(cluster, state);
    const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
      });
    }
    this.#process = child;
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  /** It keeps its connections, and answers nothing. */
  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }
}

interface MemberOptions {
  readonly folder: string;
  readonly toolbox: Toolbox;
  readonly secure: boolean;
  readonly flags: readonly string[];
}

export async function openEtcdBed(options: BedOptions = {}): Promise<EtcdBed> {
  const toolbox = await openToolbox({ cache: cacheDirectory(), progress: silent });
  const folder = await mkdtemp(join(tmpdir(), "atoll-etcd-"));
  const taken = new Set<number>();
  const channels: EtcdChannel[] = [];
  const doors: Door[] = [];
  const port = async (): Promise<number> => {
    const free = await freePort(taken);
    taken.add(free);
    return free;
  };
  const newMember = async (name: string, flags: readonly string[]): Promise<TestMember> => {
    const all = [...flags, ...(options.tls?.flags ?? []), ...(options.flags ?? [])];
    const ports = { client: await port(), peer: await port() };
    return new TestMember(name, ports, { folder, toolbox, secure: options.tls !== undefined, flags: all });
  };
  const members: TestMember[] = [];
  for (let n = 1; n <= (options.members ?? 1); n++) members.push(await newMember(`m${n}`, []));
  const endpoints = members.map(({ client }) => client);
  const channel = (to: readonly string[] = endpoints): EtcdChannel => {
    const made = openChannel({ endpoints: to, ...(options.tls && { tls: options.tls.client }) });
    channels.push(made);
    return made;
  };
  const bed: EtcdBed = {
    folder,
    toolbox,
    members,
    endpoints,
    channel,
    async add(flags, prepare) {
      const member = await newMember(`m${members.length + 1}`, flags);
      member.start(await prepare(member), "existing");
      members.push(member);
      return member;
    },
    async door(member, address = "127.0.0.1") {
      const made = await openDoor(member.port, address, options.tls ? "https" : "http");
      doors.push(made);
      return made;
    },
    async close() {
      for (const each of channels) each.close();
      for (const member of members) {
        member.thaw();
        await member.kill();
      }
      for (const each of doors) await each.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(",");
  for (const member of members) member.start(cluster);
  try {
    for (const { client } of members) {
      await memberStatus(channel(), { endpoint: client, timeoutMs: startMs, needsLeader: true });
    }
  } catch (error) {
    await bed.close();
    throw new Error(`etcd did not start: ${members.map(({ output }) => output).join("\n")}`, {
      cause: error,
    });
  }
  return bed;
}

export interface Door {
  readonly endpoint: string;
  /** How many bytes went to the member. */
  passed(): number;
  /** Breaks all connections that pass; new ones may come. */
  cut(): void;
  /** Nothing passes any more, and nobody is told. */
  block(): void;
  /** Passes again; what passed before it was blocked is broken. */
  open(): void;
  close(): Promise<void>;
}

async function openDoor(to: number, address: string, scheme: string): Promise<Door> {
  const passing = new Set<Socket>();
  let blocked = false;
  let passed = 0;
  const server: Server = createServer((near) => {
    const far = connect(to, "127.0.0.1");
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      passing.add(socket);
      socket.on("data", (bytes) => {
        if (blocked) return;
        if (other === far) passed += bytes.length;
        other.write(bytes);
      });
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        passing.delete(socket);
        if (!blocked) other.destroy();
      });
    }
  });
  const socket = address.startsWith("/");
  if (socket) server.listen(address);
  else server.listen(0, address);
  await once(server, "listening");
  const bound = server.address();
  const port = typeof bound === "object" && bound ? bound.port : 0;
  const cut = (): void => {
    for (const socket of [...passing]) socket.destroy();
  };
  return {
    endpoint: socket ? `unix://${address}` : `${scheme}://${address}:${port}`,
    passed: () => passed,
    cut,
    block: () => {
      blocked = true;
    },
    open: () => {
      blocked = false;
      cut();
    },
    async close() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
