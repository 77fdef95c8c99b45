/** Which kernel modules an initramfs carries, worked out from the files that depmod writes. */

export interface ModuleSelection {
  /** Paths of the modules below /lib/modules/VERSION, as modules.dep names them, sorted. */
  readonly files: readonly string[];
  /** Those asked for that this kernel has neither as a module nor built in, sorted. */
  readonly missing: readonly string[];
}

/**
 * The files of the modules `wanted` and of all that they need, out of `modulesDep` (modules.dep(5)) and
 * `modulesBuiltin` (what the kernel has without a module). In names, `-` and `_` are the same.
 */
export function selectModules(
  modulesDep: string,
  modulesBuiltin: string,
  wanted: readonly string[],
): ModuleSelection {
  const dependencies = new Map<string, readonly string[]>();
  const fileOf = new Map<string, string>();
  for (const line of nonEmptyLines(modulesDep)) {
    const [file = "", needs = ""] = line.split(":", 2);
    dependencies.set(file, needs.split(" ").filter(Boolean));
    fileOf.set(moduleName(file), file);
  }
  const builtin = new Set(nonEmptyLines(modulesBuiltin).map(moduleName));
  const files = new Set<string>();
  const missing: string[] = [];
  for (const name of wanted) {
    const file = fileOf.get(moduleName(name));
    if (file === undefined) {
      if (!builtin.has(moduleName(name))) missing.push(name);
      continue;
    }
    files.add(file);
    // modules.dep lists all that a module needs, also what it needs through others.
    for (const needed of dependencies.get(file) ?? []) files.add(needed);
  }
  return { files: [...files].sort(), missing: missing.sort() };
}

/** modules.dep for the modules `files` alone, which are no longer compressed. */
export function narrowDependencies(modulesDep: string, files: readonly string[]): string {
  const kept = new Set(files);
  return nonEmptyLines(modulesDep)
    .filter((line) => kept.has(line.split(":", 1)[0] ?? ""))
    .map((line) => `${line.replace(/\.ko\.\w+/g, ".ko")}\n`)
    .sort()
    .join("");
}

/** modules.alias for the modules `files` alone: the lines by which a device finds its driver. */
export function narrowAliases(modulesAlias: string, files: readonly string[]): string {
  const kept = new Set(files.map(moduleName));
  return nonEmptyLines(modulesAlias)
    .filter(
      (line) => line.startsWith("alias ") && kept.has(moduleName(line.slice(line.lastIndexOf(" ") + 1))),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** `kernel/fs/foo-bar.ko.xz` is the module `foo_bar`. */
export function moduleName(file: string): string {
  const base = file.slice(file.lastIndexOf("/") + 1);
  return base.replace(/\.ko(\.\w+)?$/, "").replaceAll("-", "_");
}

/** The names in a list of one a line; `#` begins a comment. */
export function parseModuleList(text: string): string[] {
  return nonEmptyLines(text.replace(/#.*$/gm, ""));
}

function nonEmptyLines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}
