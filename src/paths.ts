import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** Root of the clone or of the installed files: the folder that holds os/. */
export const projectRoot: string = resolve(import.meta.dirname, "..");

/** What can be thrown away and made again: packages, toolbox, base trees. `ATOLL_CACHE` overrides it. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return env.ATOLL_CACHE ?? join(env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "atoll");
}

/** What must not be lost: signing keys, repositories, the lab's machines. `ATOLL_STATE` overrides it. */
export function stateDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return env.ATOLL_STATE ?? join(env.XDG_STATE_HOME ?? join(homedir(), ".local", "state"), "atoll");
}

/** Where the lab keeps its machines, its key and its origin. */
export function labDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return join(stateDirectory(env), "lab");
}

/** Whether there is something at `path` that may be used as `mode` says (access(2)); to be there is enough when absent. */
export async function exists(path: string, mode?: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
