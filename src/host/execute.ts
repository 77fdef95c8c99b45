/** Carries out a plan, step by step. One executor for each kind of step, checked by the compiler. */
import { join } from "node:path";
import { AtollError } from "../errors.ts";
import type { Progress } from "../progress.ts";
import { findBad } from "./bad-trees.ts";
import { parseBootRecord } from "./boot-id.ts";
import { findEtcConflicts } from "./etc-conflicts.ts";
import { observeBaseline } from "./health.ts";
import { entry } from "./history.ts";
import type { EtcConflict } from "./model.ts";
import { shownName } from "./names.ts";
import type { Change, Plan, Step } from "./plan.ts";
import type { Ports } from "./ports.ts";
import { deploymentDirectory, type InstalledDeployment, readSysroot } from "./sysroot.ts";

interface Execution {
  readonly ports: Ports;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

type StepOf<Kind extends Step["do"]> = Extract<Step, { do: Kind }>;
type Executor<Kind extends Step["do"]> = (execution: Execution, step: StepOf<Kind>) => Promise<void>;

/** Steps that leave the host as it is, whether or not others follow. */
const preparations: ReadonlySet<Step["do"]> = new Set(["fetch", "save-baseline"]);

/**
 * Does what `plan` says. When `signal` fires, a preparation stops; from the first step that changes something on, all
 * are done, for they are short, and a change without its record helps nobody. Errors: INTERRUPTED, and those of the steps.
 */
export async function execute(
  plan: Plan,
  ports: Ports,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  let stop = signal;
  for (const step of plan.steps) {
    if (stop.aborted) throw new AtollError("INTERRUPTED", { step: step.do });
    if (!preparations.has(step.do)) stop = whole();
    await perform({ ports, progress, signal: stop }, step);
  }
}

/** Looks up the executor of `step`; the union is taken apart so that the compiler sees that the two belong together. */
function perform(execution: Execution, step: Step): Promise<void> {
  switch (step.do) {
    case "fetch":
      return fetch(execution, step);
    case "save-baseline":
      return saveBaseline(execution);
    case "stage":
      return stage(execution, step);
    case "set-default":
      return setDefault(execution, step);
    case "undeploy":
      return undeploy(execution, step);
    case "pin":
      return pin(execution, step);
    case "forget-change":
      return execution.ports.store.intent.clear();
    case "clean-up":
      return cleanUp(execution);
    case "unlock":
      return unlock(execution);
    case "record":
      return record(execution, step);
  }
}

/** A signal for what must not be cut short. */
function whole(): AbortSignal {
  return new AbortController().signal;
}

const fetch: Executor<"fetch"> = async ({ ports, progress, signal }, { branch, checksum, version }) => {
  progress.step(`fetching ${shownName({ checksum, version })} from ${branch.url}`);
  await ports.ostree.fetch(branch, checksum, (line) => progress.detail(line), signal);
};

async function saveBaseline({ ports, progress, signal }: Execution): Promise<void> {
  progress.step("noting how the machine is now");
  const { bootId } = parseBootRecord(ports.commandLine);
  await ports.store.baseline.write(await observeBaseline(ports, bootId, signal));
}

const stage: Executor<"stage"> = async ({ ports, progress }, { change }) => {
  progress.step(`staging ${shownName(change)}`);
  await markAskedAgain(ports, change);
  await ports.ostree.stage(change, whole());
  const { checksum, version, origin, kernelArguments } = change;
  await ports.store.intent.write({ checksum, version, origin, kernelArguments, boot: ports.boot });
};

/** What is staged although it is remembered as bad was asked for by name; a fallback from it is to be told again. */
async function markAskedAgain({ store }: Ports, change: Change): Promise<void> {
  const bad = (await store.bad.read()) ?? [];
  const known = findBad(bad, change.checksum, change.kernelArguments);
  if (known)
    await store.bad.write(bad.map((tree) => (tree === known ? { ...tree, askedAgain: true } : tree)));
}

const setDefault: Executor<"set-default"> = async ({ ports, progress }, { id }) => {
  const target = await installed(ports, id);
  progress.step(`making ${shownName(target)} what boots next`);
  await ports.ostree.setDefault(target.index, whole());
};

const undeploy: Executor<"undeploy"> = async ({ ports, progress }, { id }) => {
  const target = await installed(ports, id);
  progress.step(`removing ${shownName(target)}`);
  await ports.ostree.undeploy(target.index, whole());
};

const pin: Executor<"pin"> = async ({ ports, progress }, { id, pinned }) => {
  const target = await installed(ports, id);
  progress.step(`${pinned ? "pinning" : "unpinning"} ${shownName(target)}`);
  await ports.ostree.pin(target.index, pinned, whole());
};

/** Indexes move with every change; ids do not. */
async function installed(ports: Ports, id: string): Promise<InstalledDeployment> {
  const { deployments } = await readSysroot(ports.paths.sysroot);
  const found = deployments.find((one) => one.id === id);
  if (!found) throw new AtollError("DEPLOYMENT_UNKNOWN", { name: id, where: "this host's deployments" });
  return found;
}

async function cleanUp({ ports, progress }: Execution): Promise<void> {
  progress.step("deleting what no deployment uses");
  await ports.ostree.cleanup(whole());
}

async function unlock({ ports, progress }: Execution): Promise<void> {
  progress.step("laying a writable layer over /usr");
  await ports.ostree.unlock(whole());
}

const record: Executor<"record"> = async ({ ports }, { kind, summary, about }) => {
  const conflicts = await stagedConflicts(ports);
  await ports.store.history.add(entry(ports.clock, kind, summary, { ...about, conflicts }));
};

/** What the staged deployment will find in /etc changed from both sides; nothing when none is staged. */
export async function stagedConflicts(ports: Ports): Promise<EtcConflict[]> {
  const { sysroot } = ports.paths;
  const { deployments } = await readSysroot(sysroot);
  const staged = deployments.find((one) => one.staged);
  const booted = deployments.find((one) => one.booted);
  if (!staged || !booted || staged.checksum === booted.checksum) return [];
  return findEtcConflicts(
    join(deploymentDirectory(sysroot, booted.id), "usr/etc"),
    join(sysroot.root, "etc"),
    join(deploymentDirectory(sysroot, staged.id), "usr/etc"),
  );
}
