import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

/** Root of the clone or of the installed files: the folder that holds os/. */
export const projectRoot: string = resolve(import.meta.dirname, "..");

/** What can be thrown away and made again: packages, toolbox, base trees. `ATOLL_CACHE` overrides it. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return chosen(env.ATOLL_CACHE) ?? join(xdg(env.XDG_CACHE_HOME) ?? join(homedir(), ".cache"), "atoll");
}

/** What must not be lost: signing keys, repositories, the lab's machines. `ATOLL_STATE` overrides it. */
export function stateDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return (
    chosen(env.ATOLL_STATE) ?? join(xdg(env.XDG_STATE_HOME) ?? join(homedir(), ".local", "state"), "atoll")
  );
}

/** Where the lab keeps its machines, its key and its origin. */
export function labDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return join(stateDirectory(env), "lab");
}

/** Where the lab's disk images are kept: each by what it was made of, and never changed. */
export function imagesPath(cache: string): string {
  return join(cache, "images");
}

/** Where the whole output of a program goes when it fails. */
export function logsPath(cache: string): string {
  return join(cache, "logs");
}

/** An empty variable counts as unset, as everywhere in a shell's `:-`. */
function chosen(value: string | undefined): string | undefined {
  return value ? resolve(value) : undefined;
}

/** XDG Base Directory Specification: "If an implementation encounters a relative path [...] it should [...] ignore it". */
function xdg(value: string | undefined): string | undefined {
  return value && isAbsolute(value) ? value : undefined;
}

/** Whether there is something at `path` that may be used as `mode` says (access(2)); to be there is enough when absent. */
export async function exists(path: string, mode?: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
