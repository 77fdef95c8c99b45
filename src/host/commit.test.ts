import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { parseCommit, readCommit } from "./commit.ts";
import { checksumOf, writeTree } from "./fake-ostree.ts";

/** Made by ostree 2025.2: `ostree commit --bootable --generate-sizes --timestamp=@1700000000` with our metadata. */
const recorded = Buffer.from(
  `
b3N0cmVlLmxpbnV4AAAAADYuMQAAcw0AdmVyc2lvbgAxAABzCAAAAG9zdHJlZS5ib290YWJsZQABAGIQAAAAAGF0b2xsLnBh
Y2thZ2VzAABbeyJuYW1lIjoiYSdiIiwidmVyc2lvbiI6IjEiLCJhcmNoIjoiYW1kNjQifV0AAHMPAAAAAAAAAG9zdHJlZS5y
ZWYtYmluZGluZwAAAAAAAGF0b2xsL3g4Nl82NC9zdGFibGUAFABhcxMAAAAAAAAAYXRvbGwudHJlZS1pZAAAADAxMjM0NTY3
ODlhYmNkZWYAAHMOAAAAAG9zdHJlZS5zaXplcwAAAAAczwM/mK54EtcR4zxUjJV/dHAIOvwbJZ3rvPWWOkGX3jQUATzYu6Qc
wQN3a121ly00LxQ8FmBx2NhpHL+xFZHPKjfWLy8CRGoO8Rt8wWfztgPlhcfu7rZ1+qQS1exz9imI6wtsVIgMDANiEm2eRFzC
kTOEpy76EmkqosNxeVtsL7hA5aoki/RLkMIBwgECaI6nMiOt0yv5z59jSoJqK4kmkzXFSObYLkxrdr5w2CQqKgJqPlkQNmSD
8/3kR2Dv7djyb3DoMcx9PcPm6zFaGSBYGiYCAYU7N7dUwmHYxzecHhoxPdwK+0nAo6C1P/SeIN5pWS9NRiIBp9TEVu53myej
lNM31NNHaUIzm91FBumNHjh9JQTQ69+PAY8BAqnCWymdgnMNMF2L8w9F+8c7SiGGSsVGHkVwuHtDJA1xW1sCrF2ZYTfMSlNK
Vt4v3mUeE6VMst5PeCZ1SM0/QVRHM45ISAKyvkKohtYxXoG27OKLrrCo1aJveAN8G498KnJyt317DUhIAuAApHo2FoxR/hF3
A3Lz8PTtrLRus0nZviquAn6goEX4JgIB81RZbj4GbY0GHA1YBL5vaS0gCRij3Pjmt1an+OOUBAUmAgEjAEYAaQCOALEA1AD3
ABwBPwFiAYUBqAHLAQBhYXkNABcAJQA8AIEAuQDkAOMCAAAAAAAAAAAAAABlU/EArF2ZYTfMSlNKVt4v3mUeE6VMst5PeCZ1
SM0/QVRHM45Eag7xG3zBZ/O2A+WFx+7utnX6pBLV7HP2KYjrC2xUiCAD8wLyAvEC8QLxAg==`,
  "base64",
);

test("a commit as ostree writes it", () => {
  const commit = parseCommit("66", recorded);
  assert.equal(commit.parent, null);
  assert.equal(commit.timestamp, "2023-11-14T22:13:20.000Z");
  assert.equal(commit.version, "1");
  assert.equal(commit.treeId, "0123456789abcdef");
  assert.deepEqual(commit.packages, [{ name: "a'b", version: "1", arch: "amd64" }]);
  assert.equal(commit.sizes?.length, 13);
  const kernel = commit.sizes?.find(({ checksum }) => checksum.startsWith("f354596e"));
  assert.deepEqual([kernel?.fetched, kernel?.unpacked, kernel?.kind], [38, 2, "file"]);
  assert.ok(commit.sizes?.some(({ kind }) => kind === "dirmeta"));
});

test("cut anywhere, it is refused or still whole; never something else", () => {
  for (let length = 0; length < recorded.length; length++) {
    assert.throws(
      () => parseCommit("66", recorded.subarray(0, length)),
      (error) => hasCode(error, "GVARIANT_INVALID", "COMMIT_UNREADABLE"),
    );
  }
});

test("it is found by its checksum, with its parent", async () => {
  const root = await mkdtemp(join(tmpdir(), "atoll-commit-"));
  try {
    const repo = join(root, "ostree/repo");
    assert.equal(await readCommit(repo, checksumOf("2")), null);
    await writeTree({ root, run: root, running: root }, { version: "2", parent: "1" });
    const commit = await readCommit(repo, checksumOf("2"));
    assert.deepEqual([commit?.version, commit?.parent, commit?.packages], ["2", checksumOf("1"), null]);
  } finally {
    await rm(root, { recursive: true });
  }
});

test("a commit without a list of sizes, or with an empty one, tells none", async () => {
  const root = await mkdtemp(join(tmpdir(), "atoll-commit-"));
  const sizesOf = async (sizes?: Buffer[]) => {
    await writeTree({ root, run: root, running: root }, { version: "3", ...(sizes && { sizes }) });
    return (await readCommit(join(root, "ostree/repo"), checksumOf("3")))?.sizes;
  };
  try {
    assert.equal(await sizesOf(), null);
    assert.equal(await sizesOf([]), null);
    const checksum = "ab".repeat(32);
    const one = await sizesOf([Buffer.from(`${checksum}050701`, "hex")]);
    assert.deepEqual(one, [{ checksum, fetched: 5, unpacked: 7, kind: "file" }]);
    const old = await sizesOf([Buffer.from(`${checksum}0507`, "hex")]);
    assert.equal(old?.[0]?.kind, "other", "before libostree 2020.1 it does not say the kind");
  } finally {
    await rm(root, { recursive: true });
  }
});
