/** Who may do what: a table with a row for each action, made by whoever offers the actions. */
import { AtollError } from "../errors.ts";
import { type Identity, identityText } from "./identity.ts";
import { type PersonRole, personRoles } from "./names.ts";

/** Who may do one action. */
export interface Permission {
  /** The least role that a person needs. `nobody`: it is between machines. */
  readonly person: PersonRole | "nobody";
  /** Which machines may, besides people. */
  readonly machine: "any" | "control" | "none";
}

/** Every action by its name. An action that is not in the table cannot be asked for: the types refuse it. */
export type Permissions<Action extends string> = Readonly<Record<Action, Permission>>;

/** True when `identity` may do what `permission` guards. */
export function isPermitted(permission: Permission, identity: Identity): boolean {
  if (identity.kind === "machine") {
    return permission.machine === "any" || permission.machine === identity.role;
  }
  const needed = permission.person;
  return needed !== "nobody" && personRoles.indexOf(identity.role) >= personRoles.indexOf(needed);
}

/**
 * Passes when the caller (null: without a certificate) may do `action`.
 * Errors: CERTIFICATE_ABSENT, ACTION_FORBIDDEN.
 */
export function requirePermission<Action extends string>(
  permissions: Permissions<Action>,
  caller: Identity | null,
  action: Action,
): void {
  if (caller === null) throw new AtollError("CERTIFICATE_ABSENT", { action });
  const permission = permissions[action];
  if (isPermitted(permission, caller)) return;
  throw new AtollError("ACTION_FORBIDDEN", {
    who: identityText(caller),
    action,
    needed: neededText(permission),
  });
}

function neededText({ person, machine }: Permission): string {
  const people = person === "nobody" ? [] : [`the role ${person}`];
  const machines = { any: ["a machine of the fleet"], control: ["a control machine"], none: [] }[machine];
  return [...people, ...machines].join(" or ") || "more than anybody has";
}
