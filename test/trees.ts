import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type CpioEntry, cpioArchive } from "../src/compose/cpio.ts";
import type { Toolbox } from "../src/compose/toolbox.ts";

/** A file laid over the base tree, by its path in the tree without a leading slash. */
export type TreeFile =
  | { readonly content: string | Uint8Array; readonly mode?: number }
  | { readonly linkTo: string };

/** A key that signs commits. */
export interface Signer {
  readonly home: string;
  readonly keyId: string;
}

/** The repository that test trees are made in and served from. */
export interface TreeRepository {
  readonly toolbox: Toolbox;
  /** Folder of the archive repository. */
  readonly path: string;
  /** Its branch that machines follow, `atoll/x86_64/stable`. */
  readonly ref: string;
  /** Commit of the composed tree that every test tree is derived from. */
  readonly base: string;
  /** The key that the base tree trusts. */
  readonly signer: Signer;
}

/** What a test tree is to be, beside the base tree's own files. */
export interface TreeRecipe {
  /** Unique; also names the tree in errors. */
  readonly version: string;
  /** Seconds since 1970; later than the base tree's where the tree is to be an update. */
  readonly timestamp: number;
  readonly files?: Readonly<Record<string, TreeFile>>;
  /** The trusted key signs when absent; null: nobody. */
  readonly signer?: Signer | null;
}

export interface TestTree {
  readonly checksum: string;
  readonly version: string;
  readonly treeId: string;
}

/**
 * Commits the base tree with some files laid over it: a second's work, where composing takes a minute. The tree gets
 * a tree id of its own, as a composed one has. It is on no branch until `publish` puts it there.
 */
export async function deriveTree(repository: TreeRepository, recipe: TreeRecipe): Promise<TestTree> {
  const treeId = createHash("sha256")
    .update(`${repository.base} ${recipe.version}`)
    .digest("hex")
    .slice(0, 16);
  const files: Record<string, TreeFile> = {
    ...recipe.files,
    "usr/lib/atoll/boot-id.cfg": { content: `set atoll_tree="${treeId}"\n` },
  };
  return await inFolder(repository, async (folder) => {
    await layOut(folder, files);
    const signer = recipe.signer === undefined ? repository.signer : recipe.signer;
    const { stdout } = await repository.toolbox.run(
      [
        "ostree",
        ...["commit", `--repo=${repository.path}`, "--orphan", "--bootable", "--no-bindings"],
        ...[`--tree=ref=${repository.base}`, `--tree=dir=${folder}`],
        ...[`--timestamp=@${recipe.timestamp}`, `--subject=${recipe.version}`],
        // What tells a host beforehand whether the tree fits.
        "--generate-sizes",
        `--add-metadata-string=version=${recipe.version}`,
        `--add-metadata-string=atoll.tree-id=${treeId}`,
        ...(signer ? [`--gpg-sign=${signer.keyId}`, `--gpg-homedir=${signer.home}`] : []),
      ],
      { step: `making the test tree ${recipe.version}`, binds: [dirname(repository.path)] },
    );
    return { checksum: stdout.trim(), version: recipe.version, treeId };
  });
}

/** Makes `tree` what the branch points to, and the summary with its signature say so. */
export async function publish(
  repository: TreeRepository,
  tree: { readonly checksum: string },
): Promise<void> {
  const { toolbox, path, ref, signer } = repository;
  const step = "publishing a test tree";
  const binds = [dirname(path)];
  await toolbox.run(["ostree", "refs", `--repo=${path}`, "--force", `--create=${ref}`, tree.checksum], {
    step,
    binds,
  });
  await toolbox.run(
    [
      "ostree",
      "summary",
      `--repo=${path}`,
      "--update",
      `--gpg-sign=${signer.keyId}`,
      `--gpg-homedir=${signer.home}`,
    ],
    { step, binds },
  );
}

async function inFolder<T>(repository: TreeRepository, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(dirname(repository.path), "overlay-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes `files` into `folder`. Folders get the mode that they have in a tree, whatever the umask here. */
async function layOut(folder: string, files: Readonly<Record<string, TreeFile>>): Promise<void> {
  await chmod(folder, 0o755);
  for (const [path, file] of Object.entries(files)) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    for (let parent = dirname(target); parent !== folder; parent = dirname(parent))
      await chmod(parent, 0o755);
    if ("linkTo" in file) await symlink(file.linkTo, target);
    else {
      await writeFile(target, file.content);
      await chmod(target, file.mode ?? 0o644);
    }
  }
}

/** What `verdictWatch` makes a machine say on its console; the verdict, as JSON, is the first group. */
export const verdictLine = /ATOLL-TEST-VERDICT (\{.*\})\r?\n/;

const units = "usr/lib/systemd/system";

/** Units of the test's own base tree that say each verdict on the console, so that nobody has to ask again and again. */
export const verdictWatch: Readonly<Record<string, TreeFile>> = {
  [`${units}/atoll-test-verdict.path`]: {
    content: "[Unit]\nDescription=Wait for the verdict\n[Path]\nPathExists=/run/atoll/verdict.json\n",
  },
  [`${units}/paths.target.wants/atoll-test-verdict.path`]: { linkTo: "../atoll-test-verdict.path" },
  [`${units}/atoll-test-verdict.service`]: {
    content: `[Unit]
Description=Say the verdict on the console
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/atoll-test/say-verdict
`,
  },
  "usr/lib/atoll-test/say-verdict": {
    content: `#!/bin/sh
echo "ATOLL-TEST-VERDICT $(tr -d '\\n' </run/atoll/verdict.json)" >/dev/ttyS0
`,
    mode: 0o755,
  },
};

/** Where test files lie in a tree's default /etc. */
export const etcFolder = "usr/etc/atoll-test";

/** Files of the base tree for tests of how /etc is merged. */
export const etcFiles: Readonly<Record<string, TreeFile>> = Object.fromEntries(
  ["both", "tree", "owner", "removed"].map((name) => [`${etcFolder}/${name}`, { content: "base\n" }]),
);

const initPath = "usr/lib/systemd/systemd";

/** Trees that go wrong, each in its own way. */
export const faults = {
  /** PID 1 brings the kernel down at once. */
  panic: {
    [initPath]: { content: "#!/bin/sh\necho c > /proc/sysrq-trigger\n", mode: 0o755 },
  },
  /** There is no PID 1 to start. */
  noInit: { [initPath]: { linkTo: "/nowhere" } },
  /** PID 1 starts, and does nothing for ever: nobody feeds the watchdog. */
  hangingInit: {
    [initPath]: { content: "#!/bin/sh\nwhile :; do sleep 3600; done\n", mode: 0o755 },
  },
  /** All comes up, but the owner's health check says no. */
  unhealthy: {
    "usr/lib/greenboot/check/required.d/50-test.sh": {
      content: "#!/bin/sh\necho 'the test says no'\nexit 1\n",
      mode: 0o755,
    },
    // It will not change its mind: no need to ask for a whole minute.
    "usr/lib/atoll/atoll.yaml": { content: "health: { grace: 1s }\n" },
  },
  /** The daemon ends whenever it starts; the deadline, shortened, is what is left. By then the journal is on the disk. */
  noDaemon: {
    "usr/lib/atoll/atolld.mjs": { content: "process.exit(1);\n" },
    [`${units}/atoll-deadline.service.d/50-test.conf`]: {
      content: "[Service]\nEnvironment=ATOLL_DEADLINE=90\n",
    },
  },
} as const satisfies Record<string, Readonly<Record<string, TreeFile>>>;

/** A file that takes `bytes` on the disk and over the wire: nothing in it can be compressed. */
export function bulk(name: string, bytes: number): Readonly<Record<string, TreeFile>> {
  const key = createHash("sha256").update(name).digest();
  const blocks = Array.from({ length: Math.ceil(bytes / 32) }, (_, index) =>
    createHash("sha256").update(key).update(String(index)).digest(),
  );
  return { [`usr/share/atoll-test/${name}`]: { content: Buffer.concat(blocks, bytes) } };
}

/**
 * The base tree's initramfs with files put in place of some of its own: the kernel unpacks one cpio archive after
 * another, and the later wins.
 */
export async function initramfsWith(
  repository: TreeRepository,
  entries: readonly CpioEntry[],
): Promise<Readonly<Record<string, TreeFile>>> {
  const { toolbox, path, base } = repository;
  const step = "changing the initramfs of a test tree";
  const binds = [dirname(path)];
  const ls = ["ostree", "ls", "-R", `--repo=${path}`, base, "/usr/lib/modules"] as const;
  const image = /\S*\/initramfs\.img$/m.exec((await toolbox.run(ls, { step, binds })).stdout)?.[0];
  if (image === undefined) throw new Error(`the tree ${base} has no initramfs`);
  return await inFolder(repository, async (folder) => {
    const file = join(folder, "initramfs.img");
    const cat = `ostree cat --repo="$1" "$2" "$3" > "$4"`;
    await toolbox.run(["sh", "-euc", cat, "sh", path, base, image, file], { step, binds });
    const original = await readFile(file);
    // An archive begins at a multiple of four bytes.
    const padding = Buffer.alloc((4 - (original.length % 4)) % 4);
    return { [image.slice(1)]: { content: Buffer.concat([original, padding, cpioArchive(entries)]) } };
  });
}

/** An initramfs that hangs once it has armed the watchdog and found the root. */
export const hangingInitramfs: readonly CpioEntry[] = [
  {
    kind: "file",
    path: "usr/lib/ostree/ostree-prepare-root",
    mode: 0o755,
    data: Buffer.from("#!/bin/busybox sh\nwhile :; do sleep 3600; done\n"),
  },
];

/** Spoils, in the repository that is served, the content of `treePath` as `tree` has it. */
export async function tamperWithFile(
  repository: TreeRepository,
  tree: TestTree,
  treePath: string,
): Promise<void> {
  const { toolbox, path } = repository;
  const { stdout } = await toolbox.run(["ostree", "ls", "-C", `--repo=${path}`, tree.checksum, treePath], {
    step: "looking for an object to tamper with",
    binds: [dirname(path)],
  });
  const object = /[0-9a-f]{64}/.exec(stdout)?.[0];
  if (object === undefined) throw new Error(`no checksum in: ${stdout}`);
  const file = objectFile(path, object, "filez");
  const handle = await open(file, "r+");
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    await handle.read(last, 0, 1, size - 1);
    await handle.write(Buffer.of((last[0] ?? 0) ^ 0xff), 0, 1, size - 1);
  } finally {
    await handle.close();
  }
}

/** Gives `to`, which nobody signed, the signature that `from` has: what a thief of signatures would do. */
export async function stealSignature(
  repository: TreeRepository,
  from: TestTree,
  to: TestTree,
): Promise<void> {
  await copyFile(
    objectFile(repository.path, from.checksum, "commitmeta"),
    objectFile(repository.path, to.checksum, "commitmeta"),
  );
}

function objectFile(repository: string, checksum: string, kind: "filez" | "commitmeta"): string {
  return join(repository, "objects", checksum.slice(0, 2), `${checksum.slice(2)}.${kind}`);
}
