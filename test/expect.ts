import assert from "node:assert/strict";
import { HostFailure } from "../src/api/client.ts";
import type { Deployment, StatusResponse, Verdict } from "../src/api/types.ts";
import type { ErrorCode } from "../src/errors.ts";
import type { TestMachine } from "./machine.ts";

/** The deployment that runs. */
export function booted({ deployments }: StatusResponse): Deployment {
  const found = deployments.find((deployment) => deployment.booted);
  assert.ok(found, "nothing is booted");
  return found;
}

export function assertWell(verdict: Verdict): void {
  assert.equal(verdict.outcome, "well", verdict.reasons.join("; "));
}

/** Asserts that `work` is refused with `code`, in a sentence and with a way on, and that nothing is left changed. */
export async function assertRefused(
  machine: TestMachine,
  code: ErrorCode,
  work: () => Promise<unknown>,
): Promise<void> {
  const before = await machine.status();
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof HostFailure, String(error));
    assert.equal(error.body.code, code, error.body.message);
    assert.ok(error.body.message.length > 20 && error.body.next.length > 5);
    assert.doesNotMatch(error.body.message, /\{\w+\}/, "a parameter was not filled in");
    return true;
  });
  const after = await machine.status();
  assert.deepEqual(after.deployments, before.deployments);
  assert.equal(after.operation, null);
}
