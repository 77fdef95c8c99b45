/** Why a fetch failed: libostree's sentence (2025.2) as one of the codes that people can act on. */
import { AtollError, hasCode } from "../errors.ts";

interface Source {
  readonly remote: string;
  readonly ref: string;
  readonly url: string;
}

/** `error` from `ostree pull` as what it means for the person; itself when it is none of the known cases. */
export function remoteFailure(error: unknown, source: Source): unknown {
  if (!hasCode(error, "COMMAND_FAILED")) return error;
  const output = String(error.parameters.output ?? "");
  return signatureFailure(output, source, error) ?? contentFailure(output, source, error) ?? error;
}

function signatureFailure(output: string, { url }: Source, cause: unknown): AtollError | null {
  const checksum = /Commit ([0-9a-f]{64}):/.exec(output)?.[1];
  if (checksum === undefined) return null;
  const tree = { checksum: checksum.slice(0, 12), version: "offered", url };
  const key = /key ID ([0-9A-F]+)/.exec(output)?.[1] ?? "unknown";
  if (/no signatures found/.test(output)) return new AtollError("COMMIT_UNSIGNED", tree, cause);
  // The lines of the output are joined by " | ". Anchored: the name on a key may hold any of these words.
  const problem = /\| *(BAD signature from[^|]*)/.exec(output)?.[1]?.trim();
  if (problem !== undefined) return new AtollError("COMMIT_SIGNATURE_BAD", { ...tree, problem }, cause);
  if (/\| *Can't check signature: public key not found/.test(output)) {
    return new AtollError("COMMIT_KEY_UNKNOWN", { ...tree, key }, cause);
  }
  if (/\| *Key revoked/.test(output)) return new AtollError("COMMIT_KEY_REVOKED", { ...tree, key }, cause);
  if (/\| *(Primary key|Key|Signature) expired/.test(output)) {
    return new AtollError("COMMIT_KEY_EXPIRED", { ...tree, key }, cause);
  }
  return null;
}

function contentFailure(output: string, { remote, ref, url }: Source, cause: unknown): AtollError | null {
  const problem = output.replace(/^.*error: /, "").trim();
  if (/^(While fetching|.*No such branch|.*summary)/.test(problem) && missingRef(problem, ref)) {
    return new AtollError("REF_UNKNOWN", { remote, url, ref }, cause);
  }
  if (/Corrupted|checksum expected|Invalid checksum|does not match/i.test(problem)) {
    return new AtollError("TREE_TAMPERED", { url, problem }, cause);
  }
  if (/While fetching|Could not (connect|resolve)|timed? ?out|Server returned/i.test(problem)) {
    return new AtollError("REMOTE_UNREACHABLE", { remote, url, problem }, cause);
  }
  return null;
}

function missingRef(problem: string, ref: string): boolean {
  return problem.includes(`/refs/heads/${ref}: Server returned HTTP 404`) || /No such branch/.test(problem);
}
