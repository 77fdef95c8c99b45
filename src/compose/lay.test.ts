import assert from "node:assert/strict";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { layFiles, removePaths } from "./lay.ts";
import { mergeOsRelease } from "./shape.ts";

const rule = { mode: null, strip: false };
const asRoot = {
  skip: process.getuid?.() === 0 ? false : "files come to belong to root, which takes being root",
};

describe("a tree", () => {
  let scratch = "";
  let root = "";
  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), "atoll-lay-"));
    root = join(scratch, "root");
    for (const folder of ["root/usr/lib/x", "root/usr/bin", "root/etc", "from/usr/bin", "from/etc"]) {
      await mkdir(join(scratch, folder), { recursive: true });
    }
    await writeFile(join(root, "usr/bin/tool"), "theirs");
    await writeFile(join(scratch, "from/usr/bin/tool"), "ours");
    await chmod(join(scratch, "from/usr/bin/tool"), 0o700);
    await symlink("/dev/null", join(scratch, "from/etc/masked"));
  });
  afterEach(() => rm(scratch, { recursive: true }));

  test(
    "takes files over what packages brought, links as they are, modes by who may run them",
    asRoot,
    async () => {
      await layFiles(root, [{ ...rule, from: join(scratch, "from"), to: "/" }]);
      assert.equal(await readFile(join(root, "usr/bin/tool"), "utf8"), "ours");
      assert.equal((await lstat(join(root, "usr/bin/tool"))).mode & 0o7777, 0o755);
      assert.equal(await readlink(join(root, "etc/masked")), "/dev/null");
      const secret = {
        from: join(scratch, "from/usr/bin/tool"),
        to: "/etc/deep/er/secret",
        mode: 0o600,
        strip: false,
      };
      await layFiles(root, [secret]);
      assert.equal((await lstat(join(root, "etc/deep/er/secret"))).mode & 0o7777, 0o600);
      assert.equal((await lstat(join(root, "etc/deep"))).mode & 0o7777, 0o755);
    },
  );

  test("refuses files that are not a tree's, and ways out of it", async () => {
    const from = join(scratch, "from/usr/bin/tool");
    const refused = (message: RegExp) => ({ code: "FILE_MISPLACED", message });
    await assert.rejects(
      layFiles(root, [{ ...rule, from, to: "/var/lib/tool" }]),
      refused(/not below \/usr or \/etc/),
    );
    await assert.rejects(
      layFiles(root, [{ ...rule, from, to: "/usr/lib/x" }]),
      refused(/is a folder in the tree/),
    );
    await symlink(scratch, join(root, "usr/out"));
    await assert.rejects(
      layFiles(root, [{ ...rule, from, to: "/usr/out/tool" }]),
      refused(/leads out of the tree/),
    );
    assert.deepEqual((await readdir(scratch)).toSorted(), ["from", "root"]);
  });

  test("leaves out what patterns match, folders with all they hold, and tells which match nothing", async () => {
    await writeFile(join(root, "usr/lib/x/deep"), "");
    assert.deepEqual(await removePaths(root, ["/usr/lib/x", "/usr/bin/t*", "/usr/share/{a,b}"]), [
      "/usr/share/{a,b}",
    ]);
    assert.deepEqual(await readdir(join(root, "usr/lib")), []);
    assert.deepEqual(await readdir(join(root, "usr/bin")), []);
  });
});

test("fields of os-release are replaced or added, quoted as a shell reads them", () => {
  const text = 'NAME="Debian"\nID=debian\nPRETTY_NAME="Debian 13"\n';
  assert.equal(
    mergeOsRelease(text, { PRETTY_NAME: 'A "b" $c', IMAGE_ID: "atoll" }),
    'NAME="Debian"\nID=debian\nPRETTY_NAME="A \\"b\\" \\$c"\nIMAGE_ID="atoll"\n',
  );
});
