import type { Clock } from "./clock.ts";
import type { HostConfig } from "./config.ts";
import type { Containers } from "./containers.ts";
import type { Disk } from "./disk.ts";
import type { BootLoader } from "./grubenv.ts";
import type { Journal } from "./journal.ts";
import type { Log } from "./log.ts";
import type { Network } from "./network.ts";
import type { OSTree } from "./ostree.ts";
import type { Store } from "./store.ts";
import type { SysrootPaths } from "./sysroot.ts";
import type { Systemd } from "./systemd.ts";

/** Where this room keeps and finds things. */
export interface HostPaths {
  readonly sysroot: SysrootPaths;
  /** The verdict, for the boot deadline to see. */
  readonly verdict: string;
  /** By which uptime in seconds there will be one, for the boot deadline to see. */
  readonly judging: string;
  /** Where greenboot's result is shown at login. */
  readonly motd: string;
  readonly greenboot: readonly string[];
}

/** Everything that a host is moved by and moves; the only way from this room to the machine. */
export interface Ports {
  readonly config: HostConfig;
  readonly paths: HostPaths;
  readonly store: Store;
  readonly bootLoader: BootLoader;
  readonly ostree: OSTree;
  readonly systemd: Systemd;
  readonly journal: Journal;
  readonly network: Network;
  readonly containers: Containers;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  /** What the kernel was started with. */
  readonly commandLine: string;
  readonly bootedAt: string;
  /** The kernel's name for this boot. Clocks may step; this does not. */
  readonly boot: string;
  readonly hostname: () => string;
  /** Rejects when this daemon does not answer. */
  readonly selfCheck: (signal: AbortSignal) => Promise<void>;
}
