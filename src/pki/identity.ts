/** Who somebody is, by their certificate. */
import { AtollError } from "../errors.ts";
import type { CertificateFacts } from "./certificate.ts";
import { type MachineRole, machineRoles, type PersonRole, personRoles } from "./names.ts";

export type Identity =
  | { readonly kind: "machine"; readonly fleet: string; readonly id: string; readonly role: MachineRole }
  | { readonly kind: "person"; readonly fleet: string; readonly name: string; readonly role: PersonRole };

/**
 * The machine or person whom a certificate names, when it is of `fleet`. It says who, not whether to believe it:
 * TLS or `judgeCertificate` must have found the certificate valid.
 * Errors: CERTIFICATE_INVALID when it names neither, another fleet, or contradicts itself.
 */
export function identityOf(certificate: CertificateFacts, fleet: string): Identity {
  const { name, commonName, organization } = certificate;
  const machineRole = machineRoles.find((role) => role === organization);
  const personRole = personRoles.find((role) => role === organization);
  if (name.fleet !== fleet) throw unfit(`it is of the fleet ${name.fleet}, and this is ${fleet}`);
  // People read the common name in other tools; it must not tell them of somebody else.
  if (commonName !== name.name) throw unfit(`it names both ${name.name} and ${commonName}`);
  if (name.kind === "machine" && machineRole) {
    return { kind: "machine", fleet, id: name.name, role: machineRole };
  }
  if (name.kind === "person" && personRole) {
    return { kind: "person", fleet, name: name.name, role: personRole };
  }
  throw unfit(`a ${name.kind} with the role ${organization ?? "none"} has no part in the fleet's API`);
}

/** `machine 3f2a… (control)`, `person anna (viewer)`: for logs and refusals. */
export function identityText(identity: Identity): string {
  const name = identity.kind === "machine" ? identity.id : identity.name;
  return `${identity.kind} ${name} (${identity.role})`;
}

function unfit(problem: string): AtollError {
  return new AtollError("CERTIFICATE_INVALID", { where: "the certificate", problem });
}
