import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { AtollError } from "../errors.ts";
import { exists, logsPath } from "../paths.ts";
import { run } from "../process.ts";
import type { Progress } from "../progress.ts";

/** What this computer itself must have; everything else comes in the toolbox. */
interface Prerequisite {
  readonly package: string;
  readonly why: string;
  /** Present when this program is in PATH, or this file is there. */
  readonly by: { readonly program: string } | { readonly file: string };
  /** Whether only an ordinary user needs it. */
  readonly rootless?: boolean;
}

const prerequisites: readonly Prerequisite[] = [
  { package: "mmdebstrap", why: "makes Debian trees", by: { program: "mmdebstrap" } },
  {
    package: "debian-archive-keyring",
    why: "proves that packages are Debian's",
    by: { file: "/usr/share/keyrings/debian-archive-keyring.gpg" },
  },
  {
    package: "uidmap",
    why: "lets an ordinary user make them",
    by: { program: "newuidmap" },
    rootless: true,
  },
  { package: "openssh-client", why: "reaches the machines", by: { program: "ssh" } },
];

interface InstallOptions {
  /** `cacheDirectory()` */
  readonly cache: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Says a whole line to the person who waits. */
  readonly say: (line: string) => void;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Installs those Debian packages that this computer lacks, and says which and why. As root by apt-get, else through
 * sudo, which may ask for a password. Does nothing, and asks nothing, when all are there.
 * Errors: PREREQUISITES_MISSING where apt-get cannot be used; COMMAND_FAILED; INTERRUPTED.
 */
export async function installPrerequisites(options: InstallOptions): Promise<void> {
  const env = options.env ?? process.env;
  const root = process.getuid?.() === 0;
  const missing: Prerequisite[] = [];
  for (const each of prerequisites) {
    if ((!each.rootless || !root) && !(await isPresent(each, env))) missing.push(each);
  }
  if (missing.length === 0) return;
  for (const { package: name, why } of missing) options.say(`this computer lacks ${name}, which ${why}`);
  const names = missing.map((each) => each.package);
  if (!(await findProgram("apt-get", env))) throw missingError(names, "this system has no apt-get");
  if (root) await installAsRoot(names, options);
  else if (await findProgram("sudo", env)) await installBySudo(names, options);
  else throw missingError(names, "this account is not root, and there is no sudo");
}

function missingError(names: readonly string[], cause: string): AtollError {
  return new AtollError("PREREQUISITES_MISSING", { packages: names.join(" "), cause });
}

const update = ["apt-get", "update", "--quiet"] as const;
const install = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends"] as const;
const env = { DEBIAN_FRONTEND: "noninteractive" };

async function installAsRoot(names: readonly string[], options: InstallOptions): Promise<void> {
  const { cache, progress, signal } = options;
  progress.step(`installing ${names.join(", ")}`);
  const common = { env, signal, logs: logsPath(cache), onLine: (line: string) => progress.detail(line) };
  await run(update, { ...common, step: "reading Debian's lists of packages" });
  await run([...install, ...names], { ...common, step: `installing ${names.join(", ")}` });
}

/** In the foreground: sudo may have to ask for a password, and only does so on a terminal of its own. */
export async function installBySudo(
  names: readonly string[],
  { say, signal, env: own = process.env }: Pick<InstallOptions, "say" | "signal" | "env">,
): Promise<void> {
  const step = `installing ${names.join(", ")} through sudo`;
  // No step: its line is drawn again and again, over sudo's question.
  say(step);
  for (const command of [update, [...install, ...names]]) {
    if (signal.aborted) throw new AtollError("INTERRUPTED", { step });
    const words = ["env", `DEBIAN_FRONTEND=${env.DEBIAN_FRONTEND}`, ...command];
    const child = spawn("sudo", words, { stdio: ["inherit", 2, "inherit"], env: own });
    const [code]: (number | null)[] = await once(child, "close");
    if (code !== 0) throw missingError(names, `sudo apt-get ended with exit code ${code}`);
  }
}

async function isPresent({ by }: Prerequisite, env: NodeJS.ProcessEnv): Promise<boolean> {
  return "file" in by ? exists(by.file, constants.R_OK) : findProgram(by.program, env);
}

/** Whether `program` is in PATH, or where Debian keeps the programs of administrators. */
async function findProgram(program: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const folders = [...(env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  for (const folder of folders) {
    if (folder && (await exists(join(folder, program), constants.X_OK))) return true;
  }
  return false;
}
