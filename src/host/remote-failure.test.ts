import assert from "node:assert/strict";
import { test } from "node:test";
import { AtollError, hasCode } from "../errors.ts";
import { remoteFailure } from "./remote-failure.ts";

const source = { remote: "atoll", ref: "atoll/x86_64/stable", url: "http://10.0.2.2/repo" };
const checksum = "8a105974f25132fcef13f90a50264d5f98751e6780a34d367a5a524460939a85";
const made = `Commit ${checksum}: Signature made Sun Nov 22 15:25:43 2026 using EdDSA key ID 1F9CFAAED278E7BA`;

function failure(output: string): unknown {
  const command = { step: "fetching", command: "ostree pull", outcome: "exit code 1", output, log: "" };
  return remoteFailure(new AtollError("COMMAND_FAILED", command), source);
}

test("ostree's sentences, recorded from 2025.2, become codes", () => {
  const cases = [
    [
      `error: Commit ${checksum}: GPG verification enabled, but no signatures found (use …)`,
      "COMMIT_UNSIGNED",
    ],
    [`error: ${made} | Can't check signature: public key not found`, "COMMIT_KEY_UNKNOWN"],
    [`error: ${made} | Key revoked`, "COMMIT_KEY_REVOKED"],
    [`error: ${made} | Key expired Sat Feb 01 00:00:00 2020`, "COMMIT_KEY_EXPIRED"],
    [`error: ${made} | BAD signature from "Revoked <r@x>"`, "COMMIT_SIGNATURE_BAD"],
    [
      "error: While fetching http://10.0.2.2/repo/refs/heads/atoll/x86_64/stable: Server returned HTTP 404",
      "REF_UNKNOWN",
    ],
    [
      `error: Writing content object: Corrupted file object; checksum expected='95' actual='09'`,
      "TREE_TAMPERED",
    ],
    [
      "error: While fetching http://10.0.2.2/repo/summary.sig: [7] Could not connect to server",
      "REMOTE_UNREACHABLE",
    ],
    [
      "error: While fetching http://x.invalid/summary.sig: [6] Could not resolve hostname",
      "REMOTE_UNREACHABLE",
    ],
    [
      "error: While fetching http://10.0.2.2/repo/objects/95/e0.filez: Server returned HTTP 404",
      "REMOTE_UNREACHABLE",
    ],
  ] as const;
  for (const [output, code] of cases) {
    const error = failure(output);
    assert.ok(
      hasCode(error, code),
      `${output} gave ${error instanceof AtollError ? error.code : String(error)}`,
    );
    assert.ok(!/\{\w+\}/.test(`${error.message} ${error.next}`), `${error.message} ${error.next}`);
  }
});

test("what it does not know stays as it is", () => {
  const error = new Error("something else");
  assert.equal(remoteFailure(error, source), error);
  assert.ok(hasCode(failure("error: mkdirat: No space left on device"), "COMMAND_FAILED"));
});
