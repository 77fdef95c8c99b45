import { createHash } from "node:crypto";
import { join } from "node:path";
import { hostClient } from "../api/client.ts";
import { AtollError, hasCode } from "../errors.ts";
import { listMachines } from "../lab/machine.ts";
import { closeConnection, labTarget, openApiSocket, type SshTarget } from "../lab/ssh.ts";
import { labDirectory, stateDirectory } from "../paths.ts";
import {
  type Connection,
  type HostTransport,
  hasLocalSocket,
  localConnection,
  parseAddress,
} from "./transport.ts";

/**
 * The transport of the command on a person's own computer. A host is a machine of the lab by its name, else an address
 * for SSH; `local` is this computer. Named none: this computer if it is an Atoll host, else the lab's first machine,
 * one that runs before one that does not.
 */
export function remoteTransport(env: NodeJS.ProcessEnv, signal: AbortSignal): HostTransport {
  return {
    remote: true,
    async connect(host) {
      if (host === "local" || (host === undefined && (await hasLocalSocket())))
        return localConnection(signal);
      return sshConnection(await chooseTarget(env, host), signal);
    },
  };
}

/** Errors: HOST_UNKNOWN, LAB_NOT_RUNNING, USAGE. */
export async function chooseTarget(env: NodeJS.ProcessEnv, host: string | undefined): Promise<SshTarget> {
  const lab = labDirectory(env);
  const machines = await listMachines(lab);
  const machine =
    host === undefined
      ? (machines.find(({ running }) => running) ?? machines[0])
      : machines.find(({ record }) => record.name === host);
  if (machine) {
    if (!machine.running) throw new AtollError("LAB_NOT_RUNNING", { name: machine.record.name });
    return labTarget(lab, machine.record);
  }
  if (host === undefined) throw new AtollError("HOST_UNKNOWN");
  const address = parseAddress(host);
  // Sockets need short names, and one host one connection.
  const key = createHash("sha256").update(host).digest("hex").slice(0, 8);
  const directory = join(stateDirectory(env), "ssh", key);
  return {
    ...address,
    name: host,
    identity: null,
    knownHosts: null,
    sshSocket: join(directory, "ssh"),
    apiSocket: join(directory, "api"),
  };
}

async function sshConnection(target: SshTarget, signal: AbortSignal): Promise<Connection> {
  const client = hostClient({ name: target.name, socketPath: await openApiSocket(target, signal), signal });
  try {
    await client.version();
  } catch (error) {
    if (!hasCode(error, "HOST_UNREACHABLE")) throw error;
    // A connection kept from an earlier command may lead to a boot of the host that is over.
    await closeConnection(target);
    await openApiSocket(target, signal);
  }
  return {
    client,
    outside: true,
    async renew() {
      await closeConnection(target);
      return sshConnection(target, signal);
    },
  };
}
