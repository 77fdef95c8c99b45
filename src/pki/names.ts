/** Who can be named by a certificate, and how: `atoll://FLEET/KIND/NAME` as its one URI (RFC 3986, RFC 5280 4.2.1.6). */
import { AtollError } from "../errors.ts";

/** What a person may do; each may do all that the one before it may. */
export const personRoles = ["viewer", "operator", "admin"] as const;
export type PersonRole = (typeof personRoles)[number];

/** Control machines carry etcd and the engine, and answer those that join. */
export const machineRoles = ["control", "worker"] as const;
export type MachineRole = (typeof machineRoles)[number];

/** The first part of a name's path. `ca` names an authority by its purpose, the `etcd-` ones are known to etcd alone. */
export const nameKinds = ["machine", "person", "etcd-peer", "etcd-server", "etcd-client", "ca"] as const;
export type NameKind = (typeof nameKinds)[number];

export interface FleetName {
  readonly fleet: string;
  readonly kind: NameKind;
  readonly name: string;
}

interface NameRule {
  readonly what: string;
  readonly pattern: RegExp;
  readonly rule: string;
}

/** Commas, quotes and slashes are in none: they mean something in the text forms of certificates. */
const rules = {
  // It is the URI's host, so it must be a DNS label (RFC 1123 2.1).
  fleet: {
    what: "the name of a fleet",
    pattern: /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    rule: "1 to 63 of a-z, 0-9 and -, with a letter or digit first and last",
  },
  machine: {
    what: "the id of a machine",
    pattern: /^[0-9a-f]{32}$/,
    rule: "the 32 hex digits of /etc/machine-id",
  },
  // The common name holds it, which has 64 characters at most (RFC 5280 A.1, ub-common-name).
  person: {
    what: "the name of a person",
    pattern: /^[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?$/,
    rule: "1 to 64 of a-z, 0-9, and . _ @ - inside",
  },
  etcdUser: {
    what: "the name of a user of etcd",
    pattern: /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/,
    rule: "1 to 64 of a-z, 0-9, and . _ - inside",
  },
  // Go (etcd) refuses a whole certificate for one name that it cannot read; four numbers would be an address.
  dns: {
    what: "a DNS name in a certificate",
    pattern:
      /^(?=.{1,253}$)(?!.*(?:^|\.)\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/,
    rule: "lower-case labels of 1 to 63 letters, digits and -, joined by dots, 253 characters at most",
  },
} as const satisfies Record<string, NameRule>;

/** Gives `name` back when it keeps the rule for its sort. Errors: NAME_INVALID. */
export function checkName(sort: keyof typeof rules, name: string): string {
  const { what, pattern, rule } = rules[sort];
  if (!pattern.test(name)) throw new AtollError("NAME_INVALID", { name, what, rule });
  return name;
}

/** The URI that stands for a name in a certificate. The parts are taken as checked. */
export function formatFleetName({ fleet, kind, name }: FleetName): string {
  return `atoll://${fleet}/${kind}/${name}`;
}

/** The parts of a URI that `formatFleetName` gave; null for any other text. */
export function parseFleetName(uri: string): FleetName | null {
  const parts = /^atoll:\/\/([a-z0-9-]+)\/([a-z-]+)\/([a-z0-9._@-]+)$/.exec(uri);
  const [, fleet = "", kind = "", name = ""] = parts ?? [];
  const known = nameKinds.find((each) => each === kind);
  if (known === undefined || !rules.fleet.pattern.test(fleet)) return null;
  return { fleet, kind: known, name };
}
