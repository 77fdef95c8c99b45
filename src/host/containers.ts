/** Podman's view of the containers that units run. */
import { run } from "../process.ts";

export interface Containers {
  /** By the systemd unit that runs each: whether its own health check says well; null where it has none. */
  health(signal: AbortSignal): Promise<ReadonlyMap<string, boolean | null>>;
}

export function podman(): Containers {
  return {
    async health(signal) {
      const { stdout } = await run(["podman", "ps", "--all", "--format", "json"], {
        step: "asking Podman for containers",
        signal,
      });
      return parseContainerHealth(stdout);
    },
  };
}

/** The output of `podman ps --all --format json` (Podman 5): health is in the words of `Status`. */
export function parseContainerHealth(json: string): ReadonlyMap<string, boolean | null> {
  const list: unknown = JSON.parse(json.trim() || "[]");
  const health = new Map<string, boolean | null>();
  for (const item of Array.isArray(list) ? list : []) {
    const unit = unitOf(item);
    if (unit !== null) health.set(unit, healthOf(item));
  }
  return health;
}

function unitOf(item: unknown): string | null {
  if (typeof item !== "object" || item === null || !("Labels" in item)) return null;
  const labels: unknown = item.Labels;
  if (typeof labels !== "object" || labels === null || !("PODMAN_SYSTEMD_UNIT" in labels)) return null;
  return typeof labels.PODMAN_SYSTEMD_UNIT === "string" ? labels.PODMAN_SYSTEMD_UNIT : null;
}

function healthOf(item: unknown): boolean | null {
  const status = typeof item === "object" && item !== null && "Status" in item ? String(item.Status) : "";
  if (/\(healthy\)/.test(status)) return true;
  return /\((unhealthy|starting)\)/.test(status) ? false : null;
}
