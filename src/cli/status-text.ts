import type {
  BadTree,
  Deployment,
  PackageDiff,
  Signature,
  StatusResponse,
  UpdateAvailable,
} from "../api/types.ts";
import { cut, duration, localTime, size, wrap } from "./output.ts";
import { type Style, styled, type Terminal } from "./terminal.ts";

type View = Pick<Terminal, "columns" | "colour">;

/** A host's status for a person, as lines. `now` is in milliseconds since 1970. */
export function statusText(status: StatusResponse, view: View, now: number): string {
  const lines = [headline(status, view, now), ""];
  for (const deployment of status.deployments) lines.push(...deploymentLines(deployment, status, view));
  if (status.update) lines.push("", ...updateLines(status.update, view));
  if (status.updateProblem) {
    const { message, at } = status.updateProblem;
    lines.push("", ...labelled("update", `last look failed (${localTime(at)}): ${message}`, view, "warn"));
  }
  for (const conflict of status.conflicts) {
    lines.push(
      ...labelled(
        "/etc",
        `${conflict.path} was ${conflict.here} here and ${conflict.tree} in the new version; yours stays`,
        view,
        "warn",
      ),
    );
  }
  for (const bad of status.bad) lines.push("", ...badLines(bad, view));
  if (status.operation) {
    const { verb, step } = status.operation;
    lines.push("", ...labelled("running", step ? `${verb}: ${step}` : verb, view, "strong"));
  } else if (status.recovering && status.verdict) {
    lines.push(
      "",
      ...labelled("running", "what follows the verdict; changes wait until it is done", view, "strong"),
    );
  }
  return lines.join("\n");
}

function headline(status: StatusResponse, view: View, now: number): string {
  const up = duration(now - Date.parse(status.bootedAt));
  return `${styled(view, "strong", status.hostname)}  ${health(status, view)}  up ${up}`;
}

function health({ verdict, trial }: StatusResponse, view: View): string {
  const tries = trial.attempt === null ? "" : ` (try ${trial.attempt} of ${trial.tries})`;
  switch (trial.state) {
    case "on-trial":
      return styled(view, "warn", `on trial${tries}, not judged yet`);
    case "judged-unwell":
      return styled(view, "bad", `on trial${tries}, judged unwell: about to reboot`);
    case "fallen-back":
    case "remembered":
    case "undeployed":
    case "settled":
      return styled(
        view,
        verdict?.outcome === "unwell" ? "bad" : "warn",
        `${verdict?.outcome ?? "not judged yet"}, went back from a bad version`,
      );
    case "chosen":
      return styled(
        view,
        verdict?.outcome === "unwell" ? "bad" : "warn",
        `${verdict?.outcome ?? "not judged yet"}, not what was due to boot`,
      );
    case "good":
    case "judged-well":
    case "unmanaged":
      if (!verdict) return styled(view, "warn", "not judged yet");
      return verdict.outcome === "well"
        ? styled(view, "good", "well")
        : styled(view, "bad", `unwell: ${verdict.reasons.join("; ") || "no reason given"}`);
  }
}

/** Names are in a column as wide as the widest one. */
const nameColumns = 10;

function labelled(label: string, text: string, view: View, style: Style): string[] {
  const indent = " ".repeat(nameColumns + 2);
  const body = wrap(text, view.columns, indent).slice(indent.length);
  return [`  ${styled(view, style, label.padEnd(nameColumns))}${body}`];
}

function deploymentLines(deployment: Deployment, status: StatusResponse, view: View): string[] {
  const name = deployment.booted
    ? "booted"
    : deployment.staged
      ? "staged"
      : deployment.rollback
        ? "rollback"
        : "kept";
  const mark = deployment.booted ? styled(view, "good", "●") : " ";
  const notes = [
    deployment.pinned ? "pinned" : "",
    deployment.unlocked ? "unlocked" : "",
    deployment.index === 0 && !deployment.booted ? "boots next" : "",
    deployment.origin && deployment.booted ? `follows ${deployment.origin}` : "",
  ].filter((note) => note !== "");
  const version = (deployment.version ?? "no version").padEnd(14);
  const first = `${mark} ${name.padEnd(nameColumns)}${styled(view, deployment.booted ? "strong" : "faint", version)}  ${deployment.checksum.slice(0, 12)}`;
  const indent = " ".repeat(nameColumns + 2);
  const lines = [
    `${first}${notes.length > 0 ? `  ${notes.join(", ")}` : ""}`,
    cut(`${indent}${signatureText(deployment.signature)}`, view.columns),
  ];
  const added = kargsAgainstBooted(deployment, status);
  if (added) lines.push(wrap(added, view.columns, indent));
  return lines;
}

/** What other kernel arguments a deployment has than the booted one. */
function kargsAgainstBooted(deployment: Deployment, status: StatusResponse): string | null {
  const booted = status.deployments.find((each) => each.booted)?.kernelArguments;
  const own = deployment.kernelArguments;
  if (deployment.booted || !booted || !own) return null;
  const more = own.filter((word) => !booted.includes(word)).map((word) => `+${word}`);
  const less = booted.filter((word) => !own.includes(word)).map((word) => `-${word}`);
  return more.length + less.length === 0 ? null : `kernel arguments ${[...more, ...less].join(" ")}`;
}

function signatureText(signature: Signature): string {
  if (signature.valid) {
    // gpg shows the address of a key even where it has none.
    const who = signature.who?.replace(/\s*<>$/, "") ?? `key ${signature.keyId ?? "unknown"}`;
    return `signed by ${who}${signature.signedAt ? `, ${localTime(signature.signedAt)}` : ""}`;
  }
  switch (signature.problem) {
    case "unsigned":
      return "NOT SIGNED";
    case "unknown-key":
      return `signed by an unknown key ${signature.keyId ?? ""}`.trimEnd();
    case "revoked-key":
      return `signed by a revoked key ${signature.keyId ?? ""}`.trimEnd();
    case "expired":
      return "its signature has expired";
    case "bad":
      return "its signature is FALSE";
    case "unreadable":
    case null:
      return "its signature cannot be read";
  }
}

function updateLines(update: UpdateAvailable, view: View): string[] {
  const facts = [
    treeName(update),
    localTime(update.timestamp),
    update.size === null ? "size unknown" : size(update.size),
  ];
  const lines = labelled("update", facts.join(", "), view, "strong");
  const indent = " ".repeat(nameColumns + 2);
  if (update.packages) lines.push(wrap(packageSummary(update.packages), view.columns, indent));
  if (update.refusal) lines.push(wrap(`would be refused: ${update.refusal.message}`, view.columns, indent));
  else lines.push(`${indent}take it with: atoll upgrade --reboot`);
  return lines;
}

/** A tree by the name that people know it by. */
export function treeName(tree: { readonly version: string | null; readonly checksum: string }): string {
  return tree.version ?? tree.checksum.slice(0, 12);
}

/** `2 packages up (curl, openssl), 1 added (htop)`. */
export function packageSummary(packages: PackageDiff): string {
  const part = (list: readonly { readonly name: string }[], what: string): string => {
    if (list.length === 0) return "";
    const names = list.slice(0, 3).map(({ name }) => name);
    const shown = list.length > names.length ? `${names.join(", ")}, …` : names.join(", ");
    return `${list.length} ${what} (${shown})`;
  };
  const parts = [
    part(packages.upgraded, "up"),
    part(packages.downgraded, "down"),
    part(packages.added, "added"),
    part(packages.removed, "removed"),
  ].filter((text) => text !== "");
  return parts.length > 0 ? `packages: ${parts.join(", ")}` : "packages: no difference";
}

function badLines(bad: BadTree, view: View): string[] {
  const why = bad.reasons.join("; ") || "no reason was found";
  const again = bad.askedAgain ? "You have asked for it again since." : "Not tried again unless you name it.";
  return labelled("bad", `${treeName(bad)} went back on ${localTime(bad.at)}: ${why}. ${again}`, view, "bad");
}
