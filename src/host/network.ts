/** Whether this machine can leave its own network: an address of global scope, and a way out. */
import { run } from "../process.ts";

export interface NetworkState {
  readonly addresses: readonly string[];
  /** `IPv4 by eth0`, … */
  readonly routes: readonly string[];
}

export interface Network {
  state(signal: AbortSignal): Promise<NetworkState>;
}

/** The real one, through `ip` of iproute2. */
export function ipNetwork(): Network {
  const ask = async (args: readonly string[], signal: AbortSignal): Promise<unknown> => {
    const { stdout } = await run(["ip", "-json", ...args], {
      step: "asking for addresses and routes",
      signal,
    });
    return JSON.parse(stdout.trim() || "[]");
  };
  return {
    async state(signal) {
      const addresses = addressesOf(await ask(["address", "show", "up", "scope", "global"], signal));
      const routes = [
        ...routesOf("IPv4", await ask(["-4", "route", "show", "default"], signal)),
        ...routesOf("IPv6", await ask(["-6", "route", "show", "default"], signal)),
      ];
      return { addresses, routes };
    },
  };
}

/** True when there is an address and a default route. */
export function isOnline(state: NetworkState): boolean {
  return state.addresses.length > 0 && state.routes.length > 0;
}

/** Addresses in the output of `ip -json address show`. */
export function addressesOf(list: unknown): string[] {
  return (
    records(list)
      // The bridges of containers have addresses whatever happens outside.
      .filter((link) => !/^(lo|podman|cni|veth)/.test(textOf(link, "ifname")))
      .flatMap((link) => records(link.addr_info).map((address) => textOf(address, "local")))
      .filter((address) => address !== "")
  );
}

/** Default routes in the output of `ip -json route show default`. */
export function routesOf(family: string, list: unknown): string[] {
  return records(list)
    .filter((route) => !(Array.isArray(route.flags) && route.flags.includes("dead")))
    .map((route) => `${family} by ${textOf(route, "dev")}`);
}

function records(list: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(list) ? list.filter((item: unknown) => isRecord(item)) : [];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function textOf(record: Readonly<Record<string, unknown>>, key: string): string {
  const value = record[key];
  return typeof value === "string" ? value : "";
}
