import type { Deployment, OperationResult, StatusResponse } from "../api/types.ts";

/** A host for tests: one deployment, well. */
export function sampleDeployment(over: Partial<Deployment> = {}): Deployment {
  return {
    ...{ index: 0, id: "3ae047566699.0", checksum: "3ae0475666990000", serial: 0, version: "20261122.1" },
    timestamp: "2026-11-22T15:00:00Z",
    ...{ booted: true, staged: false, pinned: false, rollback: false, unlocked: false },
    ...{ kernelArguments: ["root=LABEL=atoll-root", "rw"], bootId: "a-b", treeId: "a" },
    signature: { valid: true, problem: null, keyId: "ABCD", who: "Atoll trees", signedAt: null },
    origin: "atoll:atoll/x86_64/stable",
    ...over,
  };
}

export function sampleStatus(over: Partial<StatusResponse> = {}): StatusResponse {
  return {
    hostname: "atoll-1",
    ...{ boot: "boot-1", bootedAt: "2026-11-22T15:00:00Z" },
    deployments: [sampleDeployment()],
    remotes: [],
    trial: { state: "good", bootId: "a-b", attempt: null, tries: 3, failedBootId: null },
    verdict: {
      ...{ outcome: "well", at: "2026-11-22T15:01:00Z", boot: "good", bootId: "a-b", attempt: null },
      reasons: [],
    },
    ...{ update: null, updateProblem: null, bad: [], conflicts: [], recovering: false, operation: null },
    ...over,
  };
}

export function sampleResult(over: Partial<OperationResult> = {}): OperationResult {
  return {
    ...{ changed: true, summary: "20261122.2 boots next", deployment: null, update: null },
    ...{ packages: null, conflicts: [], reboot: "not-needed" },
    ...over,
  };
}
