/**
 * A candidate in a process of its own, for test/etcd-cluster.test.ts to stop: `etcd-candidate.ts NAME KEY ENDPOINT…`.
 * Once elected it writes KEY, fenced, again and again, until that is refused, and says so.
 */
import { setTimeout as pause } from "node:timers/promises";
import { campaign } from "../src/etcd/election.ts";
import { openChannel } from "../src/etcd/grpc-channel.ts";
import { transact } from "../src/etcd/kv.ts";
import { keepLeases } from "../src/etcd/lease.ts";

const [name = "", key = "", ...endpoints] = process.argv.slice(2);
const channel = openChannel({ endpoints });
const leases = keepLeases(channel);
const leadership = await campaign(channel, leases, { name, value: "frozen", ttlSeconds: 2 });
console.log("elected");
for (;;) {
  const write = { kind: "put", key, value: "by the first leader" } as const;
  const { succeeded } = await transact(channel, { if: leadership.fence, do: [write] });
  if (!succeeded) break;
  await pause(20);
}
console.log("refused");
leases.close();
channel.close();
