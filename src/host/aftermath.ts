/** What a start of the daemon has to do beside judging: tell of the boot, and put right what an interruption left. */
import { asAtollError, hasCode } from "../errors.ts";
import { silent } from "../progress.ts";
import { execute } from "./execute.ts";
import { entry } from "./history.ts";
import { observeTrial } from "./judge.ts";
import { findBad, type Step, shownName } from "./plan.ts";
import type { Ports } from "./ports.ts";
import { readSysroot } from "./sysroot.ts";
import { describeTrial, isOnTrial } from "./trial.ts";

/** One line for each boot, however often the daemon is started in it. */
export async function recordBoot(ports: Ports): Promise<void> {
  if (await ports.store.told.read()) return;
  const { deployments } = await readSysroot(ports.paths.sysroot);
  const booted = deployments.find((one) => one.booted);
  const { boot } = await observeTrial(ports);
  const how = {
    good: "",
    trial: ` on trial (try ${boot.attempt} of 3)`,
    fallback: " after a fallback",
    unmanaged: "",
  };
  const summary = `booted ${booted?.version ?? booted?.checksum.slice(0, 12) ?? "an unknown tree"}${how[boot.kind]}`;
  const { checksum = null, version = null } = booted ?? {};
  await ports.store.history.add(
    entry(ports.clock, "boot", summary, { checksum, version, bootId: boot.bootId }),
  );
}

/** An operation that a power cut or a crash ended: said in the history, its leavings deleted. */
export async function clearInterruption(ports: Ports, signal: AbortSignal): Promise<void> {
  const marker = await ports.store.marker.read();
  if (marker === null) return;
  const summary = `${marker.verb}, begun ${marker.startedAt}, was interrupted; what it left is deleted`;
  await ports.ostree
    .cleanup(signal)
    .catch((error: unknown) => ports.log.warning(asAtollError(error).message));
  await ports.store.history.add(entry(ports.clock, "interrupted", summary));
  await ports.store.marker.clear();
}

/**
 * A staged deployment is written out at shutdown; where the power went first it is lost, and the old one boots.
 * The owner asked for it, so it is staged again. What came up, or fell back, or was staged in this boot, is not.
 */
export async function restoreIntent(ports: Ports, signal: AbortSignal): Promise<void> {
  const intent = await ports.store.intent.read();
  if (intent === null || intent.boot === ports.boot) return;
  if (isOnTrial(describeTrial(await observeTrial(ports)).state)) return;
  const { deployments } = await readSysroot(ports.paths.sysroot);
  const words = intent.kernelArguments.join(" ");
  const there = deployments.some(
    (one) => one.checksum === intent.checksum && one.kernelArguments?.join(" ") === words,
  );
  const bad = findBad((await ports.store.bad.read()) ?? [], intent.checksum, intent.kernelArguments);
  if (there || (bad && !bad.askedAgain)) {
    await ports.store.intent.clear();
    return;
  }
  const { checksum, version } = intent;
  const about = { checksum, version, kernelArguments: null };
  const lost = `${shownName(intent)} was lost before it was written out`;
  const steps: readonly Step[] = [
    { do: "stage", change: intent },
    { do: "record", kind: "restaged", summary: `${lost}; staged again`, about },
  ];
  try {
    await execute({ steps, summary: lost, reboot: "needed" }, ports, silent, signal);
  } catch (error) {
    if (signal.aborted || !hasCode(error, "COMMAND_FAILED")) throw error;
    await ports.store.intent.clear();
    const reasons = [error.message];
    await ports.store.history.add(
      entry(ports.clock, "interrupted", `${lost}, and cannot be staged again`, { ...about, reasons }),
    );
  }
}
