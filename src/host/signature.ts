/** What GPG says of a commit, from the text of `ostree show` (libostree's ostree-gpg-verify-result.c, C locale). */
import { AtollError } from "../errors.ts";
import type { Signature } from "./model.ts";

const none: Signature = { valid: false, problem: "unsigned", keyId: null, who: null, signedAt: null };

/**
 * The best signature in the output of `ostree show`: a good one if there is any, else the first that is not.
 */
export function parseSignature(output: string): Signature {
  const start = output.search(/^Found \d+ signatures?:$/m);
  if (start < 0) return none;
  const blocks = output
    .slice(start)
    .split(/^(?=[ \t]*Signature made )/m)
    .slice(1)
    .map(parseBlock);
  return blocks.find((signature) => signature.valid) ?? blocks[0] ?? { ...none, problem: "unreadable" };
}

/**
 * Errors: COMMIT_UNSIGNED, COMMIT_KEY_UNKNOWN, COMMIT_KEY_REVOKED, COMMIT_KEY_EXPIRED, COMMIT_SIGNATURE_BAD, by which
 * `tree` is not vouched for.
 */
export function requireValid(
  { problem, keyId }: Signature,
  tree: { readonly version: string; readonly checksum: string; readonly url: string },
): void {
  const key = keyId ?? "unknown";
  switch (problem) {
    case null:
      return;
    case "unsigned":
      throw new AtollError("COMMIT_UNSIGNED", tree);
    case "unknown-key":
      throw new AtollError("COMMIT_KEY_UNKNOWN", { ...tree, key });
    case "revoked-key":
      throw new AtollError("COMMIT_KEY_REVOKED", { ...tree, key });
    case "expired":
      throw new AtollError("COMMIT_KEY_EXPIRED", { ...tree, key });
    case "bad":
    case "unreadable":
      throw new AtollError("COMMIT_SIGNATURE_BAD", { ...tree, problem: `it is ${problem}` });
  }
}

function parseBlock(block: string): Signature {
  const made = /Signature made (.+?) using \S+ key ID ([0-9A-F]+)/.exec(block);
  const good = /Good signature from "(.*)"/.exec(block);
  const bad = /BAD signature from "(.*)"/.exec(block);
  const problem = problemIn(block, good !== null);
  return {
    valid: problem === null,
    problem,
    keyId: made?.[2] ?? null,
    who: good?.[1] ?? bad?.[1] ?? null,
    signedAt: isoTime(made?.[1]),
  };
}

function problemIn(block: string, good: boolean): Signature["problem"] {
  // Anchored: the name on a key may hold any of these words.
  if (/^\s*BAD signature from/m.test(block)) return "bad";
  if (/^\s*Key revoked/m.test(block)) return "revoked-key";
  if (/^\s*Can't check signature: public key not found/m.test(block)) return "unknown-key";
  // "Key expires …" and "Signature expires …" announce; "expired" is past.
  if (/^\s*(Primary key|Key|Signature) expired/m.test(block)) return "expired";
  return good ? null : "unreadable";
}

/** GPG's own time, in the zone of the process; the daemon runs its tools in UTC. */
function isoTime(text: string | undefined): string | null {
  const time = text === undefined ? Number.NaN : Date.parse(`${text} UTC`);
  return Number.isNaN(time) ? null : new Date(time).toISOString();
}
