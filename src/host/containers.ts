/** Podman's view of the containers that units run. */
import { run } from "../process.ts";

/** What a container's own health check says; `starting` until it has said anything. Null where there is none. */
export type ContainerHealth = "healthy" | "unhealthy" | "starting" | null;

export interface Containers {
  /** By the systemd unit that runs each. */
  health(signal: AbortSignal): Promise<ReadonlyMap<string, ContainerHealth>>;
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
export function parseContainerHealth(json: string): ReadonlyMap<string, ContainerHealth> {
  const list: unknown = JSON.parse(json.trim() || "[]");
  const health = new Map<string, ContainerHealth>();
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

function healthOf(item: unknown): ContainerHealth {
  const status = typeof item === "object" && item !== null && "Status" in item ? String(item.Status) : "";
  return words.find((word) => status.includes(`(${word})`)) ?? null;
}

const words = ["healthy", "unhealthy", "starting"] as const;
