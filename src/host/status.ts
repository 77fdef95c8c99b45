/** What `status` shows, put together. */
import { hasCode } from "../errors.ts";
import { stagedConflicts } from "./execute.ts";
import { observeTrial } from "./judge.ts";
import type { Deployment, HostStatus, Signature } from "./model.ts";
import type { Ports } from "./ports.ts";
import { readSysroot, type Sysroot } from "./sysroot.ts";
import { describeTrial } from "./trial.ts";

/** The deployment that boots next. */
export async function nextDeployment(
  ports: Ports,
  signatures: Map<string, Signature>,
  signal: AbortSignal,
): Promise<Deployment | null> {
  const sysroot = await readSysroot(ports.paths.sysroot);
  const [next] = await signedDeployments(
    ports,
    { ...sysroot, deployments: sysroot.deployments.slice(0, 1) },
    signatures,
    signal,
  );
  return next ?? null;
}

export async function statusOf(
  ports: Ports,
  signatures: Map<string, Signature>,
  { updateProblem, recovering }: Pick<HostStatus, "updateProblem" | "recovering">,
  signal: AbortSignal,
): Promise<HostStatus> {
  const sysroot = await readSysroot(ports.paths.sysroot);
  const [deployments, seen, update, bad, conflicts] = await Promise.all([
    signedDeployments(ports, sysroot, signatures, signal),
    observeTrial(ports),
    ports.store.update.read(),
    ports.store.bad.read(),
    stagedConflicts(ports),
  ]);
  const known = deployments.some((one) => one.checksum === update?.checksum);
  return {
    hostname: ports.hostname(),
    boot: ports.boot,
    bootedAt: ports.bootedAt,
    deployments,
    remotes: sysroot.remotes,
    trial: describeTrial(seen),
    verdict: seen.verdict,
    update: known ? null : update,
    updateProblem,
    bad: bad ?? [],
    conflicts,
    recovering,
  };
}

/** Asks GPG once for each commit: its signatures do not change while this daemon, and so its tree's keys, live. */
async function signedDeployments(
  ports: Ports,
  { deployments, remotes }: Sysroot,
  signatures: Map<string, Signature>,
  signal: AbortSignal,
): Promise<Deployment[]> {
  const signed: Deployment[] = [];
  for (const deployment of deployments) {
    const remote = deployment.origin?.split(":")[0] ?? remotes[0]?.name ?? "atoll";
    const key = `${remote} ${deployment.checksum}`;
    const known = signatures.get(key);
    const signature = known ?? (await signatureOf(ports, deployment.checksum, remote, signal));
    if (signature.problem !== "unreadable") signatures.set(key, signature);
    signed.push({ ...deployment, signature });
  }
  return signed;
}

/** Who signed `checksum`. What cannot be checked is not valid; those who ask have more to do than that. */
export async function signatureOf(
  ports: Ports,
  checksum: string,
  remote: string,
  signal: AbortSignal,
): Promise<Signature> {
  try {
    return await ports.ostree.verify(checksum, remote, signal);
  } catch (error) {
    if (!hasCode(error, "COMMAND_FAILED")) throw error;
    ports.log.warning(error.message);
    return { valid: false, problem: "unreadable", keyId: null, who: null, signedAt: null };
  }
}
