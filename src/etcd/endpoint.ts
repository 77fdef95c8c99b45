import { isIPv4, isIPv6 } from "node:net";
import { AtollError } from "../errors.ts";

export interface Endpoint {
  /** As gRPC names it. */
  readonly target: string;
  readonly secure: boolean;
  /** The host where it is named by its address; null for a name or a socket. */
  readonly address: string | null;
}

/**
 * Reads an endpoint as etcd's own tools write it: `https://host:port`, `http://host:port`, `unix:///path`
 * (no certificates then: the file's mode guards it). The port is 2379 when absent.
 * Errors: ETCD_ENDPOINT_INVALID.
 */
export function parseEndpoint(endpoint: string): Endpoint {
  const invalid = (problem: string) => new AtollError("ETCD_ENDPOINT_INVALID", { endpoint, problem });
  if (!URL.canParse(endpoint)) throw invalid("not a URL");
  const { protocol, hostname, port, pathname, search, username } = new URL(endpoint);
  if (protocol === "unix:") {
    if (hostname !== "" || pathname.length < 2) throw invalid("a socket is named by its whole path");
    return { target: `unix:${pathname}`, secure: false, address: null };
  }
  if (protocol !== "https:" && protocol !== "http:") throw invalid(`it begins with ${protocol}`);
  if (username !== "" || search !== "" || pathname !== "/") throw invalid("more than a host and a port");
  const secure = protocol === "https:";
  // A URL leaves out the port that is its scheme's own.
  const number = port || (new RegExp(`:${secure ? 443 : 80}/?$`).test(endpoint) ? (secure ? 443 : 80) : 2379);
  const bare = hostname.replace(/^\[|\]$/g, "");
  if (isIPv6(bare)) return { target: `ipv6:[${bare}]:${number}`, secure, address: bare };
  if (isIPv4(bare)) return { target: `ipv4:${bare}:${number}`, secure, address: bare };
  return { target: `dns:${bare}:${number}`, secure, address: null };
}
