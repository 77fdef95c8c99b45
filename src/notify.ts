/**
 * systemd's notification protocol (sd_notify(3)). Node.js has no datagram sockets, so the unit opens the socket
 * (`OpenFile=/run/systemd/notify:notify`, systemd 253) and this writes to the file descriptor.
 */
import { writeSync } from "node:fs";

export interface ServiceManager {
  ready(status: string): void;
  stopping(): void;
  /** Says that the daemon lives, at half the interval that the unit asks for. */
  startWatchdog(): { stop(): void };
}

/** The first file descriptor that systemd hands over (sd_listen_fds(3)). */
const firstDescriptor = 3;

/** The manager that `env` tells of; when there is none, saying something to it does nothing. */
export function serviceManager(env: NodeJS.ProcessEnv): ServiceManager {
  const place = (env.LISTEN_FDNAMES ?? "").split(":").indexOf("notify");
  const descriptor = place < 0 ? null : firstDescriptor + place;
  const say = (text: string): void => {
    if (descriptor !== null) writeSync(descriptor, text);
  };
  const interval = Number(env.WATCHDOG_USEC ?? 0) / 1000;
  return {
    ready: (status) => say(`READY=1\nSTATUS=${status}`),
    stopping: () => say("STOPPING=1"),
    startWatchdog() {
      if (interval <= 0) return { stop: () => {} };
      const timer = setInterval(() => say("WATCHDOG=1"), interval / 2);
      return { stop: () => clearInterval(timer) };
    },
  };
}
