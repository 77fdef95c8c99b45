import { type HostClient, hostClient } from "../api/client.ts";
import { AtollError } from "../errors.ts";
import { exists } from "../paths.ts";

/** A way to one host's daemon. */
export interface Connection {
  readonly client: HostClient;
  /** True when this process does not run on that host: it can outlive the host's reboot. */
  readonly outside: boolean;
  /** Makes the connection anew, after the host went down; may fail as `connect` does. */
  renew(): Promise<Connection>;
}

/** How this command reaches hosts: inside a machine only its own, from outside any. */
export interface HostTransport {
  /** Whether other hosts than this one can be named. */
  readonly remote: boolean;
  /** Errors: HOST_UNKNOWN when none is named and none is there; HOST_UNREACHABLE; INTERRUPTED. */
  connect(host: string | undefined): Promise<Connection>;
}

export const localSocket = "/run/atoll/api.sock";

/** The transport of the command inside a machine. */
export function localTransport(signal: AbortSignal): HostTransport {
  return { remote: false, connect: async () => localConnection(signal) };
}

export function localConnection(signal: AbortSignal): Connection {
  const connection: Connection = {
    client: hostClient({ name: "this host", socketPath: localSocket, signal }),
    outside: false,
    renew: async () => connection,
  };
  return connection;
}

/** Whether this computer is itself an Atoll host. */
export async function hasLocalSocket(): Promise<boolean> {
  return exists(localSocket);
}

/** `[user@]address[:port]`, an IPv6 address with a port in brackets. */
export interface Address {
  readonly user: string | null;
  readonly address: string;
  readonly port: number | null;
}

/** Errors: USAGE for what cannot be an address. */
export function parseAddress(text: string): Address {
  const match = /^(?:([\w.-]+)@)?(?:\[([0-9a-fA-F:.%\w]+)\]|([\w.-]+)|([0-9a-fA-F:.]+))(?::(\d{1,5}))?$/.exec(
    text,
  );
  const address = match?.[2] ?? match?.[3] ?? match?.[4];
  const port = match?.[5] === undefined ? null : Number(match[5]);
  // ssh would take a name that begins with a dash for an option.
  if (!address || address.startsWith("-") || port === 0 || (port ?? 0) > 65535) {
    throw new AtollError("USAGE", {
      problem: `"${text}" is not the address of a host`,
      help: "atoll host --help",
    });
  }
  return { user: match?.[1] ?? null, address, port };
}
