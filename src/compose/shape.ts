import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { AtollError, isSystemError } from "../errors.ts";
import { run } from "../process.ts";
import { layFiles, removePaths } from "./lay.ts";
import type { FileRule } from "./treefile.ts";
import { compareEntries, type Entry, formatEntries, type PinnedIds, parseEntries } from "./users.ts";

/** Everything that turns an installed root into a tree, as data: it crosses into the toolbox as JSON. */
export interface ShapePlan {
  readonly root: string;
  readonly remove: readonly string[];
  readonly files: readonly FileRule[];
  readonly units: {
    readonly enable: readonly string[];
    readonly disable: readonly string[];
    readonly mask: readonly string[];
  };
  readonly defaultTarget: string;
  readonly osRelease: Readonly<Record<string, string>>;
  readonly treeId: string;
  readonly kernelArguments: readonly string[];
  readonly ids: PinnedIds;
}

/** Left behind by dpkg, apt, debconf and mmdebstrap; of no use in a tree, and another one every time. */
const leftovers: readonly string[] = [
  "/etc/.pwd.lock",
  "/etc/.resolv.conf.systemd-resolved.bak",
  "/etc/{passwd,group,shadow,gshadow,subuid,subgid}-",
  "/etc/{hostname,fstab}",
  "/etc/apt/apt.conf.d/99mmdebstrap",
  "/etc/apt/sources.list",
  "/etc/dpkg/dpkg.cfg.d/99mmdebstrap",
  "/etc/ssh/ssh_host_*",
  "/usr/share/info/dir",
  "/usr/**/__pycache__",
  "/var/lib/dpkg/*-old",
  "/var/lib/dpkg/{lock,lock-frontend}",
  "/var/lib/dpkg/triggers/{Lock,Unincorp}",
  "/{vmlinuz,initrd.img}{,.old}",
];

/**
 * First half, before the initramfs is built from the tree: takes out what is left out, lays the files over the packages
 * and settles which units start. Gives the kernel's version and the `remove` rules that met nothing.
 * Errors: FILE_MISPLACED, KERNEL_NOT_ONE, COMMAND_FAILED (a unit that does not exist).
 */
export async function layTree(plan: ShapePlan): Promise<{ kernelVersion: string; idle: string[] }> {
  await removePaths(plan.root, leftovers);
  const idle = await removePaths(plan.root, plan.remove);
  await layFiles(plan.root, plan.files);
  await settleUnits(plan);
  const versions = await readdir(join(plan.root, "usr/lib/modules")).catch(() => []);
  const [kernelVersion] = versions;
  if (kernelVersion === undefined || versions.length > 1) {
    throw new AtollError("KERNEL_NOT_ONE", { kernels: versions.join(", ") || "none" });
  }
  return { kernelVersion, idle };
}

/**
 * Second half: stamps the version and gives the tree the shape that OSTree boots from: kernel beside its modules, /etc
 * as /usr/etc, /var empty and described by tmpfiles, the folders of a machine's own as links into /var.
 * Errors: IDS_UNPINNED and IDS_MOVED carry the entries as JSON.
 */
export async function shapeTree(plan: ShapePlan, kernelVersion: string): Promise<{ fresh: PinnedIds }> {
  const fresh = await settleIds(plan);
  await stamp(plan);
  await moveKernel(plan.root, kernelVersion);
  await describeVar(plan.root);
  await linkFolders(plan.root);
  await rename(join(plan.root, "etc"), join(plan.root, "usr/etc"));
  return { fresh };
}

/** Presets are what systemd itself applies on a machine's first boot, so what the tree says and what that does agree. */
async function settleUnits({ root, units, defaultTarget }: ShapePlan): Promise<void> {
  const preset = [
    "# From the treefile's `units`.",
    ...units.enable.map((unit) => `enable ${unit}`),
    ...[...units.disable, ...units.mask].map((unit) => `disable ${unit}`),
  ];
  const folder = join(root, "usr/lib/systemd/system-preset");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "05-treefile.preset"), `${preset.join("\n")}\n`);
  const systemctl = (...words: string[]) =>
    run(["systemctl", `--root=${root}`, "--quiet", ...words], { step: "settling which units start" });
  await systemctl("preset-all");
  // preset-all passes over units that do not exist: a misspelt name must not pass.
  if (units.enable.length > 0) await systemctl("enable", ...units.enable);
  if (units.mask.length > 0) await systemctl("mask", ...units.mask);
  await systemctl("set-default", defaultTarget);
}

/** Checks ids against the pins and writes the account files anew: sorted, without the days of password changes. */
async function settleIds({ root, ids }: ShapePlan): Promise<PinnedIds> {
  const etc = (name: string): string => join(root, "etc", name);
  const users = parseEntries("/etc/passwd", await readFile(etc("passwd"), "utf8"), 7);
  const groups = parseEntries("/etc/group", await readFile(etc("group"), "utf8"), 4);
  const compared = { users: compareEntries(ids.users, users), groups: compareEntries(ids.groups, groups) };
  const moved = [...compared.users.moved, ...compared.groups.moved];
  if (moved.length > 0) {
    const entries = moved.map(({ name, from, to }) => `${name} from ${from} to ${to}`).join(", ");
    throw new AtollError("IDS_MOVED", { entries });
  }
  await replaceFile(etc("passwd"), formatEntries(users));
  await replaceFile(etc("group"), formatEntries(groups));
  await rewriteLines(etc("shadow"), users, ([name = "", password = "*", , ...rest]) => [
    name,
    password,
    "",
    ...rest,
  ]);
  await rewriteLines(etc("gshadow"), groups, (fields) => fields);
  await pinSysusers(root, users, groups);
  return { users: compared.users.fresh, groups: compared.groups.fresh };
}

/**
 * Says every id of the tree in one sysusers.d(5) file, so that an account that comes with an update gets its id on each
 * machine and no other. Packages' own lines about the same names go: systemd-sysusers would warn of each at every boot.
 */
async function pinSysusers(root: string, users: readonly Entry[], groups: readonly Entry[]): Promise<void> {
  const folder = join(root, "usr/lib/sysusers.d");
  const pinned = { u: new Set(users.map(([name]) => name)), g: new Set(groups.map(([name]) => name)) };
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    const lines = (await readFile(file, "utf8")).split("\n").filter((line) => /^\s*[a-z]/.test(line));
    const kept = lines.filter((line) => {
      const [, kind, account] = /^\s*([ug])\S*\s+(\S+)/.exec(line) ?? [];
      return !((kind === "u" || kind === "g") && pinned[kind].has(account));
    });
    if (kept.length === lines.length) continue;
    if (kept.length > 0) await replaceFile(file, `${kept.join("\n")}\n`);
    else await rm(file);
  }
  const lines = [
    "# Every id of this tree: none moves between versions.",
    ...groups.map(([name, , gid]) => `g ${name} ${gid}`),
    ...users.map(([name, , uid, gid, gecos, home, shell]) => {
      return `u${name === "root" ? "" : "!"} ${name} ${uid}:${gid} "${gecos}" ${home} ${shell}`;
    }),
  ];
  await writeFile(join(folder, "00-atoll-ids.conf"), `${lines.join("\n")}\n`);
}

/**
 * Gives a file of a package other content, with the owner and mode that it had. The file is made anew: what is there may
 * be a hard link that the base tree shares.
 */
async function replaceFile(file: string, text: string): Promise<void> {
  const { uid, gid, mode } = await lstat(file);
  await rm(file);
  await writeFile(file, text);
  await chown(file, uid, gid);
  await chmod(file, mode & 0o7777);
}

/** Rewrites a shadow file in the order of `entries`. */
async function rewriteLines(
  file: string,
  entries: readonly Entry[],
  change: (fields: readonly string[]) => readonly string[],
): Promise<void> {
  const lines = new Map(
    (await readFile(file, "utf8"))
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => [line.split(":")[0], line.split(":")]),
  );
  const ordered = entries.flatMap(([name]) => {
    const fields = lines.get(name);
    return fields ? [change(fields)] : [];
  });
  await replaceFile(file, ordered.map((fields) => `${fields.join(":")}\n`).join(""));
}

async function stamp({ root, osRelease, treeId, kernelArguments }: ShapePlan): Promise<void> {
  const file = join(root, "usr/lib/os-release");
  await replaceFile(file, mergeOsRelease(await readFile(file, "utf8"), osRelease));
  const ours: Record<string, string> = {
    "/usr/lib/atoll/boot-id.cfg": `set atoll_tree="${treeId}"\n`,
    "/usr/lib/atoll/kernel-arguments": kernelArguments.map((argument) => `${argument}\n`).join(""),
    "/etc/machine-id": "",
  };
  for (const [path, text] of Object.entries(ours)) {
    const to = join(root, path);
    await mkdir(join(to, ".."), { recursive: true });
    await rm(to, { force: true });
    await writeFile(to, text);
    await chmod(to, 0o644);
  }
}

/** os-release(5) `text` with fields replaced, or added at its end. Values are quoted as the shell would need it. */
export function mergeOsRelease(text: string, fields: Readonly<Record<string, string>>): string {
  const kept = text
    .split("\n")
    .filter((line) => line !== "" && !Object.hasOwn(fields, line.split("=")[0] ?? ""));
  const added = Object.entries(fields).map(([key, value]) => `${key}="${value.replace(/[\\"$`]/g, "\\$&")}"`);
  return `${[...kept, ...added].join("\n")}\n`;
}

async function moveKernel(root: string, version: string): Promise<void> {
  const kernel = join(root, "usr/lib/modules", version, "vmlinuz");
  if (!(await lstat(kernel).catch(() => null)))
    await rename(join(root, "boot", `vmlinuz-${version}`), kernel);
  await empty(join(root, "boot"));
}

/** Empties /var: what packages need there is made on each machine, by tmpfiles.d(5) lines written here. */
async function describeVar(root: string): Promise<void> {
  await mkdir(join(root, "usr/lib/sysimage"), { recursive: true });
  await rename(join(root, "var/lib/dpkg"), join(root, "usr/lib/sysimage/dpkg"));
  for (const path of ["var/cache", "var/log", "var/tmp", "var/backups", "var/lib/apt", "var/lib/systemd"]) {
    await rm(join(root, path), { recursive: true, force: true });
  }
  const known = await declaredPaths(root);
  const lines = new Map<string, string>();
  const declare = (path: string, line: string): void => {
    if (!known.has(path)) lines.set(path, `${line}\n`);
  };
  declare("/var/lib/dpkg", "L /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg");
  for (const name of ["home", "srv", "opt", "mnt", "usrlocal"])
    declare(`/var/${name}`, `d /var/${name} 0755 0 0 -`);
  declare("/var/roothome", "d /var/roothome 0700 0 0 -");
  await walk(join(root, "var"), async (file) => {
    const path = file.slice(root.length);
    const found = await lstat(file);
    const mode = (found.mode & 0o7777).toString(8).padStart(4, "0");
    if (found.isDirectory()) declare(path, `d ${path} ${mode} ${found.uid} ${found.gid} -`);
    else if (found.isSymbolicLink()) declare(path, `L ${path} - - - - ${await readlink(file)}`);
  });
  await empty(join(root, "var"));
  const text = [...lines].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
  const head = "# What packages left in /var, to be made on each machine.\n";
  await writeFile(join(root, "usr/lib/tmpfiles.d/00-atoll-var.conf"), head + text.join(""));
}

/** Shows `visit` everything below `folder`, and follows no link. */
async function walk(folder: string, visit: (path: string) => Promise<void>): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    await visit(path);
    if (entry.isDirectory()) await walk(path, visit);
  }
}

/** Paths for which a tmpfiles.d line of a package exists: a second one would only be warned of. */
async function declaredPaths(root: string): Promise<Set<string>> {
  const folder = join(root, "usr/lib/tmpfiles.d");
  const files = (await readdir(folder)).filter((name) => name.endsWith(".conf"));
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
  const paths = texts.flatMap((text) => text.split("\n").map((line) => line.trim().split(/\s+/)));
  return new Set(paths.flatMap(([type = "", path = ""]) => (/^[dDLqQv]/.test(type) ? [path] : [])));
}

/** Folders of a machine's own lie in /var; OSTree wants the links and /sysroot in the tree. */
async function linkFolders(root: string): Promise<void> {
  const links: Record<string, string> = {
    home: "var/home",
    root: "var/roothome",
    srv: "var/srv",
    opt: "var/opt",
    mnt: "var/mnt",
    media: "run/media",
    "usr/local": "../var/usrlocal",
    ostree: "sysroot/ostree",
  };
  for (const [path, target] of Object.entries(links)) {
    await rm(join(root, path), { recursive: true, force: true });
    await symlink(target, join(root, path));
  }
  for (const path of ["dev", "proc", "sys", "run", "tmp"]) await empty(join(root, path));
  await mkdir(join(root, "sysroot"), { recursive: true });
  await chmod(join(root, "tmp"), 0o1777);
  await rm(join(root, ".dockerenv"), { force: true });
}

async function empty(folder: string): Promise<void> {
  try {
    const names = await readdir(folder);
    for (const name of names) await rm(join(folder, name), { recursive: true, force: true });
  } catch (error) {
    if (!isSystemError(error, "ENOENT")) throw error;
    await mkdir(folder);
  }
}
