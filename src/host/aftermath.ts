/** What a start of the daemon has to do beside judging: tell of the boot, and put right what an interruption left. */
import { hasCode } from "../errors.ts";
import { silent } from "../progress.ts";
import { findBad } from "./bad-trees.ts";
import { type BootRecord, parseBootRecord } from "./boot-id.ts";
import { execute } from "./execute.ts";
import { entry } from "./history.ts";
import { observeTrial } from "./judge.ts";
import { shownName } from "./names.ts";
import type { Step } from "./plan.ts";
import type { Ports } from "./ports.ts";
import type { Intent, Marker } from "./store.ts";
import { type InstalledDeployment, readSysroot } from "./sysroot.ts";
import { describeTrial, isOnTrial } from "./trial.ts";
import { proveLayout } from "./update.ts";

/** What is done once in each boot, at the first start of the daemon: to find out what booted, and to tell of it. */
export async function welcomeBoot(ports: Ports, signal: AbortSignal): Promise<void> {
  if (await ports.store.told.read()) return;
  const { boot } = await observeTrial(ports);
  const { deployments } = await readSysroot(ports.paths.sysroot);
  await followBootLoader(ports, boot, deployments, signal);
  await recordBoot(ports, boot, deployments);
  await ports.store.told.write(true);
}

/**
 * GRUB reads a file system without its journal; Linux replays it. Where the power went while libostree was writing out
 * a new order of deployments, GRUB has started the first of the old order, and Linux sees the new one: the next boot
 * would go elsewhere, long after the cut and unasked. What runs stays; what was staged is staged again afterwards.
 */
async function followBootLoader(
  ports: Ports,
  boot: BootRecord,
  deployments: readonly InstalledDeployment[],
  signal: AbortSignal,
): Promise<void> {
  const [first] = deployments.filter((one) => !one.staged);
  const booted = deployments.find((one) => one.booted);
  const startedFirst = boot.kind === "good" || boot.kind === "trial";
  if (!startedFirst || !first || !booted || first.booted) return;
  const intent = await ports.store.intent.read();
  if (intent && isOf(intent, first)) await ports.ostree.undeploy(first.index, signal);
  else await ports.ostree.setDefault(booted.index, signal);
  const summary = `the power went while ${shownName(first)} was being made what boots next; ${shownName(booted)} stays`;
  const { checksum, version } = first;
  await ports.store.history.add(entry(ports.clock, "interrupted", summary, { checksum, version }));
}

/** True when `deployment` is what was to be staged. */
function isOf(intent: Intent, { checksum, kernelArguments }: InstalledDeployment): boolean {
  return checksum === intent.checksum && kernelArguments?.join(" ") === intent.kernelArguments.join(" ");
}

async function recordBoot(
  ports: Ports,
  boot: BootRecord,
  deployments: readonly InstalledDeployment[],
): Promise<void> {
  const booted = deployments.find((one) => one.booted);
  const how = {
    good: "",
    chosen: ", which was not due: chosen in the boot menu, or because the other one does not load",
    trial: ` on trial (try ${boot.attempt} of 3)`,
    fallback: " after a fallback",
    unmanaged: "",
  };
  const summary = `booted ${booted ? shownName(booted) : "an unknown tree"}${how[boot.kind]}`;
  const { checksum = null, version = null } = booted ?? {};
  await ports.store.history.add(
    entry(ports.clock, "boot", summary, { checksum, version, bootId: boot.bootId }),
  );
}

/**
 * Deletes what the way to this boot may have left, and tells of an operation that a power cut or a crash ended, by its
 * `marker`. libostree deletes old deployments' files as the machine goes down to a trial, and when a fallback is
 * undeployed; nothing tells whether the power let it come to its end, so after a trial it is always done once more.
 */
export async function clearInterruption(
  ports: Ports,
  marker: Marker | null,
  signal: AbortSignal,
): Promise<void> {
  const { kind } = parseBootRecord(ports.commandLine);
  if (marker === null && kind !== "trial" && kind !== "fallback") return;
  // Until this has worked a commit may lie there without its files.
  await ports.ostree.cleanup(signal);
  if (marker === null) return;
  const summary = `${marker.verb}, begun ${marker.startedAt}, was interrupted; what it left is deleted`;
  await ports.store.history.add(entry(ports.clock, "interrupted", summary));
  // Where this took more than one try, another operation may have marked itself since.
  const { store } = ports;
  if ((await store.marker.read())?.id === marker.id) await store.marker.clear();
}

/** How often what was lost is staged again; after that it was hardly the power. */
const restagedAtMost = 3;

/**
 * A staged deployment is written out at shutdown; where the power went first it is lost, and the old one boots.
 * The owner asked for it, so it is staged again. What came up, or fell back, or was staged in this boot, is not; nor
 * what libostree could not write out, or what is lost again and again.
 */
export async function restoreIntent(ports: Ports, signal: AbortSignal): Promise<void> {
  const intent = await ports.store.intent.read();
  if (intent === null || intent.boot === ports.boot) return;
  if (isOnTrial(describeTrial(await observeTrial(ports)).state)) return;
  const { deployments } = await readSysroot(ports.paths.sysroot);
  const there = deployments.some((one) => isOf(intent, one));
  const bad = findBad((await ports.store.bad.read()) ?? [], intent.checksum, intent.kernelArguments);
  if (there || (bad && !bad.askedAgain)) {
    await ports.store.intent.clear();
    return;
  }
  const { checksum, version } = intent;
  const about = { checksum, version, kernelArguments: null };
  const lost = `${shownName(intent)} was lost before it was written out`;
  const times = (intent.lost ?? 0) + 1;
  const failure = await finalizeFailure(ports, signal);
  const giveUp = async (summary: string, reasons: readonly string[]): Promise<void> => {
    await ports.store.intent.clear();
    await ports.store.history.add(entry(ports.clock, "interrupted", summary, { ...about, reasons }));
  };
  if (failure !== null) return giveUp(`${shownName(intent)} could not be written out`, [failure]);
  if (times > restagedAtMost) return giveUp(`${lost} ${times} times in a row, and is not staged again`, []);
  const steps: readonly Step[] = [
    { do: "stage", change: intent },
    { do: "record", kind: "restaged", summary: `${lost}; staged again`, about },
  ];
  try {
    await proveLayout(ports, checksum);
    await execute({ steps, summary: lost, reboot: "needed" }, ports, silent, signal);
    await ports.store.intent.write({ ...intent, boot: ports.boot, lost: times });
  } catch (error) {
    if (signal.aborted || !hasCode(error, "COMMAND_FAILED", "NO_SPACE")) throw error;
    await giveUp(`${lost}, and cannot be staged again`, [error.message]);
  }
}

/** Why libostree could not write out what was staged when the machine went down; null when it did not say so. */
async function finalizeFailure({ journal }: Ports, signal: AbortSignal): Promise<string | null> {
  // The next boot's service tells what the one that finalizes has noted (libostree's _ostree_sysroot_boot_complete).
  const lines = await journal.unit("ostree-boot-complete.service", signal).catch(() => []);
  const told = /ostree-finalize-staged\.service failed on previous boot: (.+)/;
  return lines.map((line) => told.exec(line)?.[1]).find((reason) => reason !== undefined) ?? null;
}
