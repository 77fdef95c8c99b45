import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { isSystemError } from "../errors.ts";
import { fakeMachine } from "./fake-machine.ts";
import { checksumOf } from "./fake-ostree.ts";
import { againIfGone, parseBootEntry, parseOrigin, parseRemotes, readSysroot } from "./sysroot.ts";

test("an origin file, as libostree writes it", () => {
  assert.deepEqual(parseOrigin("[origin]\nrefspec=atoll:atoll/x86_64/stable\n"), {
    refspec: "atoll:atoll/x86_64/stable",
    pinned: false,
    unlocked: false,
  });
  const pinned = parseOrigin(
    "[origin]\nrefspec=a:b\nunlocked=hotfix\n\n[libostree-transient]\npinned=true\n",
  );
  assert.deepEqual([pinned.pinned, pinned.unlocked], [true, true]);
  assert.equal(parseOrigin("[origin]\nunlocked=none\n").unlocked, false);
});

test("a boot loader entry", () => {
  const text =
    "title atoll 2 (ostree:0)\nversion 2\noptions root=LABEL=x rw ostree=/ostree/boot.0/atoll/e7/0\nlinux /v\n";
  assert.deepEqual(parseBootEntry(text), {
    version: 2,
    options: "root=LABEL=x rw ostree=/ostree/boot.0/atoll/e7/0",
  });
});

test("the remotes of a repository's configuration", () => {
  const text = `[core]
repo_version=1

[remote "atoll"]
url=http://10.0.2.2:8080/repo
gpg-verify=true

[remote "mine"]
gpg-verify=true
url = https://x/y
`;
  assert.deepEqual(parseRemotes(text), [
    { name: "atoll", url: "http://10.0.2.2:8080/repo" },
    { name: "mine", url: "https://x/y" },
  ]);
});

test("a deployment whose commit is damaged still is one", async () => {
  const machine = await fakeMachine("1.0");
  try {
    const { sysroot } = machine.ports.paths;
    const checksum = checksumOf("1.0");
    const objects = join(sysroot.root, "ostree/repo/objects", checksum.slice(0, 2));
    await writeFile(join(objects, `${checksum.slice(2)}.commit`), "xx");
    const { deployments } = await readSysroot(sysroot);
    assert.deepEqual(
      deployments.map(({ booted, version }) => [booted, version]),
      [[true, null]],
    );
  } finally {
    await machine.remove();
  }
});

test("entries and links that are swapped while they are read are read again, once", async () => {
  const machine = await fakeMachine("1.0");
  try {
    const { sysroot } = machine.ports.paths;
    const link = join(sysroot.root, "ostree/boot.0");
    await rename(link, `${link}.new`);
    await assert.rejects(readSysroot(sysroot), (error) => isSystemError(error, "ENOENT"));
    let looks = 0;
    const { deployments } = await againIfGone(async () => {
      if (++looks === 2) await rename(`${link}.new`, link);
      return readSysroot(sysroot);
    });
    assert.deepEqual([looks, deployments.length], [2, 1]);
  } finally {
    await machine.remove();
  }
});

test("deployments in boot order, what is staged first, the booted one by the running root", async () => {
  const machine = await fakeMachine("1.0");
  try {
    const { ports } = machine;
    const signal = new AbortController().signal;
    const origin = "atoll:atoll/x86_64/next";
    machine.newest = { version: "1.1" };
    await ports.ostree.fetchCommit({ remote: "atoll", ref: "x", url: "" }, null, signal);
    const checksum = checksumOf("1.1");
    await ports.ostree.stage({ checksum, origin, kernelArguments: ["rw", "quiet"] }, signal);
    const { deployments, remotes } = await readSysroot(ports.paths.sysroot);
    assert.deepEqual(
      deployments.map(({ index, version, staged, booted, origin }) => [
        index,
        version,
        staged,
        booted,
        origin,
      ]),
      [
        [0, "1.1", true, false, "atoll:atoll/x86_64/next"],
        [1, "1.0", false, true, "atoll:atoll/x86_64/stable"],
      ],
    );
    assert.deepEqual(deployments[0]?.kernelArguments, ["rw", "quiet"]);
    assert.deepEqual(remotes, [{ name: "atoll", url: "http://origin/repo" }]);
  } finally {
    await machine.remove();
  }
});
