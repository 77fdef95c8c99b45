import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { diffCommits } from "../src/compose/diff.ts";
import { openRepository, type Repository, readMetadata, readReleases } from "../src/compose/repository.ts";
import { openSigningKey, type SigningKey } from "../src/compose/signing.ts";
import { openToolbox, type Toolbox, withBinds } from "../src/compose/toolbox.ts";
import { hasCode } from "../src/errors.ts";
import { cacheDirectory } from "../src/paths.ts";
import { silent } from "../src/progress.ts";
import { type FolderServer, serveFolder } from "./serve.ts";

const ref = "atoll/x86_64/stable";
const minutes = 60_000;

/** Releases of a tree of ten files: what a whole compose does with one, but for making the tree. */
describe("a repository of releases", { timeout: 10 * minutes }, () => {
  let scratch: string;
  let toolbox: Toolbox;
  let key: SigningKey;
  let repository: Repository;
  let remote: FolderServer;
  /** Checksums by version. */
  const commits = new Map<string, string>();

  before(async () => {
    const cache = cacheDirectory();
    await mkdir(cache, { recursive: true });
    const bare = await openToolbox({ cache, progress: silent });
    scratch = await mkdtemp(join(cache, "test-"));
    toolbox = withBinds(bare, [scratch]);
    await mkdir(join(scratch, "debs"));
    key = await openSigningKey(join(scratch, "keys"), { toolbox, repository: join(scratch, "repo") });
    const trees = join(scratch, "trees");
    await mkdir(trees);
    await toolbox.run(["ostree", "init", `--repo=${trees}`, "--mode=bare"], { step: "testing" });
    repository = await openRepository(join(scratch, "repo"), key, { toolbox, trees });
    remote = await serveFolder(repository.path);
  });
  after(async () => {
    await remote.close();
    await toolbox.run(["find", scratch, "-mindepth", "1", "-delete"], { step: "tidying up" });
    await rm(scratch, { recursive: true });
  });

  const ostree = async (...words: string[]): Promise<string> =>
    (await toolbox.run(["ostree", ...words], { step: "testing" })).stdout.trim();

  /** Commits ten files, of which one is the version; not published. */
  async function commit(version: string, parent: string | null, deb: Deb): Promise<string> {
    const tree = join(scratch, `tree-${version}`);
    await mkdir(join(tree, "usr/lib/modules/6.12"), { recursive: true });
    for (let count = 0; count < 9; count += 1)
      await writeFile(join(tree, "usr", `file-${count}`), `${count}`.repeat(5000));
    await writeFile(join(tree, "usr/version"), version);
    await toolbox.run(["sh", "-c", 'echo kernel > "$1"', "sh", join(tree, "usr/lib/modules/6.12/vmlinuz")], {
      step: "testing",
    });
    const packages = [{ name: deb.name, version: deb.version, arch: "all" }];
    const checksums = [{ algorithm: "SHA256", checksumValue: deb.sha256 }];
    const checksum = await repository.commit({
      ...{ tree, ref, parent, subject: `Atoll ${version}`, timestamp: 1_700_000_000 + commits.size },
      metadata: {
        version,
        "atoll.packages": JSON.stringify(packages),
        "atoll.sbom": JSON.stringify({
          packages: [{ name: deb.name, versionInfo: deb.version, checksums }],
        }),
      },
      detached: { "atoll.source": '{"git":"here"}' },
    });
    commits.set(version, checksum);
    return checksum;
  }

  interface Deb {
    readonly name: string;
    readonly version: string;
    readonly sha256: string;
  }

  /** A package with a changelog, in the cache's debs/ as `compose diff` looks for it. */
  async function makeDeb(version: string, changelog: string): Promise<Deb> {
    const root = join(scratch, `deb-${version}`);
    await mkdir(join(root, "DEBIAN"), { recursive: true });
    await mkdir(join(root, "usr/share/doc/ours"), { recursive: true });
    const control = ["Package: ours", `Version: ${version}`, "Architecture: all"];
    const person = "Maintainer: Test <test@example.org>";
    await writeFile(
      join(root, "DEBIAN/control"),
      `${[...control, person, "Description: a test"].join("\n")}\n`,
    );
    await writeFile(join(root, "usr/share/doc/ours/changelog.Debian.gz"), gzipSync(changelog));
    const file = join(scratch, `${version}.deb`);
    await toolbox.run(["dpkg-deb", "--root-owner-group", "--build", root, file], { step: "testing" });
    const sha256 = createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
    await copyFile(file, join(scratch, "debs", `${sha256}.deb`));
    return { name: "ours", version, sha256 };
  }

  const entry = (version: string, text: string): string =>
    `ours (${version}) trixie; urgency=medium\n\n  * ${text}\n\n -- T <t@example.org>  Sat, 01 Nov 2025 10:00:00 +0000\n\n`;
  const older = entry("1.0-1", "First.");
  const newer = entry("1.0-2", "Mend what CVE-2026-12345 found.") + older;

  test("a commit is signed, says of itself what it was given, and nobody sees it before it is published", async () => {
    const checksum = await commit("1", null, await makeDeb("1.0-1", older));
    assert.match(
      await ostree("show", `--repo=${repository.path}`, checksum),
      /Good signature|Found 1 signature/,
    );
    assert.equal(await readMetadata(repository.path, checksum, "version", { toolbox }), "1");
    const options = [`--repo=${repository.path}`, "--print-detached-metadata-key=atoll.source"];
    assert.equal(await ostree("show", ...options, checksum), `'{"git":"here"}'`);
    assert.equal(await readMetadata(repository.path, checksum, "atoll.source", { toolbox }), null);
    assert.deepEqual(await readReleases(repository.path, ref, { toolbox }), []);
  });

  test("a machine pulls what is published, and checks commit and summary by the key", async () => {
    await repository.publish(ref, need(commits, "1"));
    assert.equal(await repository.isPublished(ref), true);
    const machine = `--repo=${join(scratch, "machine")}`;
    await ostree("init", machine, "--mode=bare-user");
    const trust = ["--set=gpg-verify=true", "--set=gpg-verify-summary=true", `--gpg-import=${key.publicKey}`];
    await ostree("remote", "add", machine, ...trust, "atoll", `http://127.0.0.1:${remote.port}`);
    await ostree("pull", machine, "atoll", ref);
    assert.equal(await ostree("rev-parse", machine, `atoll:${ref}`), need(commits, "1"));
  });

  test("the next release comes as a delta; one that leads elsewhere goes", async () => {
    const { path } = repository;
    const second = await commit("2", need(commits, "1"), await makeDeb("1.0-2", newer));
    await repository.delta(need(commits, "1"), second);
    await repository.publish(ref, second);
    const machine = `--repo=${join(scratch, "machine")}`;
    await ostree("pull", machine, "--require-static-deltas", "atoll", ref);
    assert.equal(await ostree("rev-parse", machine, `atoll:${ref}`), second);
    const third = await commit("3", second, { name: "ours", version: "1.0-2", sha256: "none" });
    await repository.delta(second, third);
    await repository.publish(ref, third);
    assert.equal(await ostree("static-delta", "list", `--repo=${path}`), `${second}-${third}`);
    const releases = await readReleases(path, ref, { toolbox });
    assert.deepEqual(
      releases.map(({ version }) => version),
      ["3", "2", "1"],
    );
  });

  test("killed between naming a commit and signing the summary, it is not published, and can be", async () => {
    const fourth = await commit("4", need(commits, "3"), { name: "ours", version: "1.0-2", sha256: "none" });
    // What publish does first, and nothing after it.
    await ostree("refs", `--repo=${repository.path}`, `--create=${ref}`, "--force", fourth);
    assert.equal(await repository.isPublished(ref), false);
    await repository.publish(ref, fourth);
    assert.equal(await repository.isPublished(ref), true);
    const machine = `--repo=${join(scratch, "machine")}`;
    await ostree("pull", machine, "atoll", ref);
    assert.equal(await ostree("rev-parse", machine, `atoll:${ref}`), fourth);
  });

  test("two releases are compared by their packages, with changelog and CVE numbers", async () => {
    const { TMPDIR } = process.env;
    // Where the toolbox cannot look: scratch must not be there.
    process.env.TMPDIR = "/var/tmp";
    try {
      const common = { repository: repository.path, toolbox, cache: scratch, progress: silent };
      const diff = await diffCommits({ ...common, from: "1", to: "2" });
      const [change] = diff.upgraded;
      assert.deepEqual([change?.name, change?.from, change?.to], ["ours", "1.0-1", "1.0-2"]);
      assert.deepEqual(
        change?.entries?.map(({ version }) => version),
        ["1.0-2"],
      );
      assert.deepEqual(diff.cves, ["CVE-2026-12345"]);
      const back = await diffCommits({ ...common, from: "2", to: "1" });
      assert.equal(back.downgraded[0]?.entries?.length, 1);
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
    }
  });

  test("a package whose file is damaged is told of, not taken for one without a changelog", async () => {
    const names = await readdir(join(scratch, "debs"));
    for (const name of names) await writeFile(join(scratch, "debs", name), "no package");
    const common = { repository: repository.path, toolbox, cache: scratch, progress: silent };
    await assert.rejects(diffCommits({ ...common, from: "1", to: "2" }), (error) =>
      hasCode(error, "COMMAND_FAILED"),
    );
  });
});

function need(commits: ReadonlyMap<string, string>, version: string): string {
  const checksum = commits.get(version);
  assert.ok(checksum, `version ${version} was not committed`);
  return checksum;
}
