import type { Manner, Method } from "./channel.ts";
import {
  ClusterDefinition,
  KVDefinition,
  LeaseDefinition,
  MaintenanceDefinition,
  type MessageFns,
  WatchDefinition,
} from "./generated/etcd.ts";

interface Definition<Q, R> {
  readonly name: string;
  readonly requestType: MessageFns<Q>;
  readonly responseType: MessageFns<R>;
}

type Traits = Omit<Manner, "path">;

const reading: Traits = { repeatable: true, needsLeader: true };
const writing: Traits = { repeatable: false, needsLeader: true };
/** Answered by one member about itself. */
const ofMember: Traits = { repeatable: true, needsLeader: false };

function methodOf<Q, R>(
  service: { readonly fullName: string },
  definition: Definition<Q, R>,
  traits: Traits,
): Method<Q, R> {
  return {
    path: `/${service.fullName}/${definition.name}`,
    request: definition.requestType,
    response: definition.responseType,
    ...traits,
  };
}

const kv = KVDefinition.methods;
const lease = LeaseDefinition.methods;
const cluster = ClusterDefinition.methods;
const maintenance = MaintenanceDefinition.methods;

/** Every method of etcd that is called here. */
export const methods = {
  range: methodOf(KVDefinition, kv.range, reading),
  put: methodOf(KVDefinition, kv.put, writing),
  deleteRange: methodOf(KVDefinition, kv.deleteRange, writing),
  txn: methodOf(KVDefinition, kv.txn, writing),
  compact: methodOf(KVDefinition, kv.compact, writing),
  watch: methodOf(WatchDefinition, WatchDefinition.methods.watch, reading),
  leaseGrant: methodOf(LeaseDefinition, lease.leaseGrant, writing),
  // Once gone, a lease stays gone: its id is not given again.
  leaseRevoke: methodOf(LeaseDefinition, lease.leaseRevoke, reading),
  leaseKeepAlive: methodOf(LeaseDefinition, lease.leaseKeepAlive, reading),
  leaseTimeToLive: methodOf(LeaseDefinition, lease.leaseTimeToLive, reading),
  memberAdd: methodOf(ClusterDefinition, cluster.memberAdd, writing),
  memberRemove: methodOf(ClusterDefinition, cluster.memberRemove, writing),
  memberUpdate: methodOf(ClusterDefinition, cluster.memberUpdate, writing),
  memberList: methodOf(ClusterDefinition, cluster.memberList, reading),
  memberPromote: methodOf(ClusterDefinition, cluster.memberPromote, writing),
  alarm: methodOf(MaintenanceDefinition, maintenance.alarm, ofMember),
  status: methodOf(MaintenanceDefinition, maintenance.status, ofMember),
  defragment: methodOf(MaintenanceDefinition, maintenance.defragment, { ...ofMember, repeatable: false }),
  snapshot: methodOf(MaintenanceDefinition, maintenance.snapshot, ofMember),
  moveLeader: methodOf(MaintenanceDefinition, maintenance.moveLeader, { ...ofMember, repeatable: false }),
} as const;
