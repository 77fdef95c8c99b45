import { createHash } from "node:crypto";
import { join } from "node:path";
import { readLock, writeLock } from "../src/compose/lock.ts";
import { resolveLock } from "../src/compose/resolve.ts";
import { openToolbox } from "../src/compose/toolbox.ts";
import { toolboxRequest } from "../src/compose/toolbox-root.ts";
import { cacheDirectory } from "../src/paths.ts";

/**
 * Writes os/toolbox.lock anew, with Debian's newest versions of what the toolbox is made of. What stands in the way of
 * an update of shim and GRUB on new disks is this lock: renew it with os/atoll.lock.
 */
export async function renewToolboxLock(signal: AbortSignal): Promise<void> {
  const cache = cacheDirectory();
  const progress = { step: (step: string) => console.log(step), detail: () => {} };
  const toolbox = await openToolbox({ cache, progress, signal });
  const name = createHash("sha256").update(toolboxRequest.path).digest("hex").slice(0, 12);
  const before = await readLock(toolboxRequest.path);
  const lock = await resolveLock(toolboxRequest, {
    ...{ toolbox, cache, progress, signal, work: join(cache, "apt", name), before, hold: null },
  });
  await writeLock(toolboxRequest.path, lock);
  console.log(`${toolboxRequest.path}: ${lock.packages.length} packages`);
}
