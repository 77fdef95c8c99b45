import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { projectRoot } from "../paths.ts";
import { type LockedPackage, readLock } from "./lock.ts";
import { spdxDocument } from "./sbom.ts";

test("the bill of materials names each package once, with its hash and package URL", async () => {
  const lock = await readLock(join(projectRoot, "os/atoll.lock"));
  assert.ok(lock);
  const input = { name: "atoll", version: "1", treeId: "0123", timestamp: 0, suite: "trixie" };
  const others = [{ name: "nodejs", version: "24.0.0", licence: "MIT" }];
  const document = JSON.parse(spdxDocument({ ...input, packages: lock.packages, others }));
  assert.equal(document.spdxVersion, "SPDX-2.3");
  assert.equal(document.creationInfo.created, "1970-01-01T00:00:00Z");
  const ids: string[] = document.packages.map((each: { SPDXID: string }) => each.SPDXID);
  assert.equal(new Set(ids).size, lock.packages.length + 1);
  for (const id of ids) assert.match(id, /^SPDXRef-[A-Za-z0-9.-]+$/);
  assert.deepEqual(document.documentDescribes, ids);
});

test("a package URL names the package, percent-encoded, and the source that it was built from", () => {
  const locked: LockedPackage = {
    ...{
      name: "libstdc++6",
      version: "1:14.2-19",
      arch: "amd64",
      source: "gcc-14",
      sourceVersion: "14.2-19",
    },
    ...{ archive: "main", path: "pool/main/g/gcc-14/x.deb", size: 1, sha256: "0".repeat(64) },
  };
  const input = { name: "atoll", version: "1", treeId: "0123", timestamp: 0, suite: "trixie", others: [] };
  const purl = (packages: readonly LockedPackage[]): string =>
    JSON.parse(spdxDocument({ ...input, packages })).packages[0].externalRefs[0].referenceLocator;
  assert.equal(
    purl([locked]),
    "pkg:deb/debian/libstdc%2B%2B6@1:14.2-19?arch=amd64&distro=trixie&upstream=gcc-14%4014.2-19",
  );
  const own = { ...locked, name: "bash", source: "bash", sourceVersion: locked.version };
  assert.equal(purl([own]), "pkg:deb/debian/bash@1:14.2-19?arch=amd64&distro=trixie");
});

test("a document's namespace is a UUID of its own: the same for the same tree, another for another version", () => {
  const tree = { name: "atoll", treeId: "0123", timestamp: 0, suite: "trixie" };
  const namespaceOf = (version: string): string =>
    JSON.parse(spdxDocument({ ...tree, version, packages: [], others: [] })).documentNamespace;
  assert.match(
    namespaceOf("1"),
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.equal(namespaceOf("1"), namespaceOf("1"));
  assert.notEqual(namespaceOf("1"), namespaceOf("2"));
});
