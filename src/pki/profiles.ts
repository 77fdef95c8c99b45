/**
 * What each sort of certificate holds. A profile decides everything but the name: who asks for a certificate
 * chooses no usage and no life, and of the names in its request nothing is taken.
 */
import { isIP } from "node:net";
import { AtollError } from "../errors.ts";
import { checkName, type MachineRole, type NameKind, type PersonRole } from "./names.ts";

/**
 * Two authorities, as etcd cannot tell a person from a machine: whoever holds a certificate of the authority that
 * etcd trusts may speak to it, and by its common name is the etcd user of that name. So etcd trusts one of its own.
 */
export const purposes = ["fleet", "etcd"] as const;
export type Purpose = (typeof purposes)[number];

/** Where a server can be reached, for its clients to compare with. */
export interface Reachable {
  readonly dnsNames: readonly string[];
  /** IPv4 and IPv6 addresses, as text. */
  readonly addresses: readonly string[];
}

/** Whom a certificate is for. */
export type Subject =
  | ({ readonly profile: "machine"; readonly id: string; readonly role: MachineRole } & Reachable)
  | { readonly profile: "person"; readonly name: string; readonly role: PersonRole }
  /** `machine` is the id of the machine that the member runs on. */
  | ({ readonly profile: "etcd-peer" | "etcd-server"; readonly machine: string } & Reachable)
  /** `user` is the etcd user whom etcd takes the holder for. */
  | { readonly profile: "etcd-client"; readonly user: string };

export type Profile = Subject["profile"];

/** What stands in a certificate, in plain words. */
export interface Contents extends Reachable {
  readonly kind: NameKind;
  readonly name: string;
  readonly commonName: string;
  readonly organization: string | null;
  readonly usages: readonly ("server" | "client")[];
}

interface ProfileRules {
  readonly purpose: Purpose;
  readonly usages: Contents["usages"];
  /** Seconds that a certificate holds unless told otherwise, and at most. */
  readonly life: number;
  readonly longest: number;
}

const day = 24 * 3600;
const shortest = 60;

/** docs/security.md says why each life is what it is. */
const profileRules: Readonly<Record<Profile, ProfileRules>> = {
  machine: { purpose: "fleet", usages: ["server", "client"], life: 7 * day, longest: 7 * day },
  person: { purpose: "fleet", usages: ["client"], life: 7 * day, longest: 90 * day },
  "etcd-peer": { purpose: "etcd", usages: ["server", "client"], life: 30 * day, longest: 30 * day },
  // etcd's own gateway calls its server with the server's certificate, so it must do as a client's too.
  "etcd-server": { purpose: "etcd", usages: ["server", "client"], life: 30 * day, longest: 30 * day },
  "etcd-client": { purpose: "etcd", usages: ["client"], life: 7 * day, longest: 30 * day },
};

/** The authority that issues certificates of `profile`. */
export function purposeOf(profile: Profile): Purpose {
  return profileRules[profile].purpose;
}

/**
 * Seconds that a certificate of `profile` is to hold: `wanted`, or the profile's own.
 * Errors: LIFE_INVALID when `wanted` is more than the profile allows, or less than a minute.
 */
export function lifeOf(profile: Profile, wanted: number | undefined): number {
  const { life, longest } = profileRules[profile];
  if (wanted === undefined) return life;
  if (!Number.isSafeInteger(wanted) || wanted < shortest || wanted > longest) {
    throw new AtollError("LIFE_INVALID", { wanted, profile, shortest, longest });
  }
  return wanted;
}

/** The contents of a certificate for `subject`. Errors: NAME_INVALID. */
export function contentsOf(subject: Subject): Contents {
  const { usages } = profileRules[subject.profile];
  switch (subject.profile) {
    case "machine": {
      const id = checkName("machine", subject.id);
      const who = { kind: subject.profile, name: id, commonName: id, organization: subject.role } as const;
      return { ...who, usages, ...reachable(subject) };
    }
    case "person": {
      const name = checkName("person", subject.name);
      const who = { kind: subject.profile, name, commonName: name, organization: subject.role } as const;
      return { ...who, usages, ...nowhere };
    }
    case "etcd-peer":
    case "etcd-server": {
      const name = checkName("machine", subject.machine);
      // One common name for all peers: etcd's --peer-cert-allowed-cn keeps mere clients from the peers' port.
      const who = { kind: subject.profile, name, commonName: subject.profile, organization: null } as const;
      return { ...who, usages, ...reachable(subject) };
    }
    case "etcd-client": {
      const name = checkName("etcdUser", subject.user);
      if (name === "etcd-peer" || name === "etcd-server") {
        throw new AtollError("NAME_INVALID", {
          name,
          what: "the name of a user of etcd",
          rule: "another one",
        });
      }
      const who = { kind: subject.profile, name, commonName: name, organization: null } as const;
      return { ...who, usages, ...nowhere };
    }
  }
}

const nowhere: Reachable = { dnsNames: [], addresses: [] };

function reachable({ dnsNames, addresses }: Reachable): Reachable {
  for (const address of addresses) {
    if (isIP(address) === 4 || (isIP(address) === 6 && !/[%.]/.test(address))) continue;
    const rule = "an IPv4 address, or an IPv6 address in hex digits alone, without a zone";
    throw new AtollError("NAME_INVALID", { name: address, what: "an address in a certificate", rule });
  }
  return { dnsNames: dnsNames.map((name) => checkName("dns", name)), addresses };
}
