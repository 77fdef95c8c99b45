/** What people call deployments and trees. */
import { AtollError } from "../errors.ts";
import type { DeploymentName } from "./model.ts";
import type { Branch } from "./ostree.ts";
import type { InstalledDeployment, Sysroot } from "./sysroot.ts";

/** Digits of a checksum that are enough to ask by. */
const fewestDigits = 8;

/** True when `name` can be (the beginning of) a checksum. */
export function isChecksum(name: string): boolean {
  return new RegExp(`^[0-9a-f]{${fewestDigits},64}$`).test(name);
}

/** True when `tree` answers to `name` by version or checksum. */
export function answersTo(
  tree: { readonly checksum: string; readonly version: string | null },
  name: string,
): boolean {
  return tree.version === name || (isChecksum(name) && tree.checksum.startsWith(name));
}

/** A tree by the name that people know it by. */
export function shownName(tree: { readonly version: string | null; readonly checksum: string }): string {
  return tree.version ?? tree.checksum.slice(0, 12);
}

/**
 * The deployment that `name` means, or null when none answers to it.
 * Errors: DEPLOYMENT_AMBIGUOUS when several trees do. Of several deployments of one tree, the first in boot order.
 */
export function findDeployment(
  deployments: readonly InstalledDeployment[],
  name: DeploymentName,
): InstalledDeployment | null {
  const byRole = deployments.find(
    (one) =>
      (name === "booted" && one.booted) ||
      (name === "staged" && one.staged) ||
      (name === "rollback" && one.rollback) ||
      String(one.index) === name,
  );
  if (byRole) return byRole;
  const found = deployments.filter((one) => one.id === name || answersTo(one, name));
  const trees = new Set(found.map((one) => one.checksum));
  if (trees.size > 1) {
    const matches = found
      .map((one) => `${one.checksum.slice(0, 12)} (${one.version ?? "no version"})`)
      .join(", ");
    throw new AtollError("DEPLOYMENT_AMBIGUOUS", { name, matches });
  }
  return found[0] ?? null;
}

/** Errors: DEPLOYMENT_UNKNOWN, DEPLOYMENT_AMBIGUOUS. */
export function namedDeployment(
  deployments: readonly InstalledDeployment[],
  name: DeploymentName,
): InstalledDeployment {
  const found = findDeployment(deployments, name);
  if (found === null) throw new AtollError("DEPLOYMENT_UNKNOWN", { name, where: "this host's deployments" });
  return found;
}

/**
 * The branch that `origin` (`remote:ref`) names; fetched from `url` where the owner gave one, else from the remote's.
 * Errors: NO_REMOTE.
 */
export function branchOf(
  origin: string | null,
  { remotes }: Pick<Sysroot, "remotes">,
  url: string | null,
): Branch {
  const [, name, ref] = /^([^:]+):(.+)$/.exec(origin ?? "") ?? [];
  if (name === undefined || ref === undefined) {
    throw new AtollError("NO_REMOTE", { problem: "the booted deployment follows no branch of a remote" });
  }
  const remote = remotes.find((one) => one.name === name);
  if (!remote) throw new AtollError("NO_REMOTE", { problem: `no remote is called ${name}` });
  return { remote: name, ref, url: url ?? remote.url };
}

/** `to` as `remote:ref`: a stream or a ref is on the remote that `origin` is on. Errors: NO_REMOTE, USAGE. */
export function rebasedOrigin(origin: string | null, to: string): string {
  if (!/^\w[\w.:/-]*$/.test(to))
    throw new AtollError("USAGE", { problem: `"${to}" names no branch`, help: "atoll host rebase --help" });
  if (to.includes(":")) return to;
  const [, remote, ref] = /^([^:]+):(.+)$/.exec(origin ?? "") ?? [];
  if (remote === undefined || ref === undefined) {
    throw new AtollError("NO_REMOTE", { problem: `it follows no remote that could have "${to}"` });
  }
  return `${remote}:${to.includes("/") ? to : ref.replace(/[^/]+$/, to)}`;
}
