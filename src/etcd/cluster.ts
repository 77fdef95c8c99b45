import { createHash } from "node:crypto";
import { AtollError } from "../errors.ts";
import type { CallOptions, Channel } from "./channel.ts";
import { type AlarmMember, AlarmRequest, type Member as WireMember } from "./generated/etcd.ts";
import { readRevision } from "./keys.ts";
import { methods } from "./methods.ts";

export interface Member {
  readonly id: bigint;
  /** Empty until it has started for the first time. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** Gets everything and has no vote. */
  readonly learner: boolean;
}

/** What one member says about itself. */
export interface MemberStatus {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly version: string;
  /** Null when it knows none: it cannot write then. */
  readonly leaderId: bigint | null;
  readonly learner: boolean;
  readonly revision: number;
  readonly raftTerm: bigint;
  readonly raftIndex: bigint;
  readonly raftAppliedIndex: bigint;
  /** Bytes of its database file, and how many of them hold something. */
  readonly databaseBytes: number;
  readonly databaseBytesInUse: number;
  readonly errors: readonly string[];
}

export interface Alarm {
  readonly memberId: bigint;
  /** `space`: the database is full, and takes no more writes. `corrupt`: members differ. */
  readonly kind: "space" | "corrupt";
}

export interface ListOptions extends CallOptions {
  /** As one member knows it, also when there is no majority. */
  readonly stale?: boolean;
}

/** Errors, here and below: EtcdError (what etcd refuses is ETCD_REFUSED with its words), INTERRUPTED. */
export async function listMembers(channel: Channel, options: ListOptions = {}): Promise<readonly Member[]> {
  const { stale = false, ...call } = options;
  const needsLeader = stale ? false : call.needsLeader;
  const request = { linearizable: !stale };
  const { members } = await channel.unary(methods.memberList, request, { ...call, needsLeader });
  return members.map(readMember);
}

/** Adds a member as a learner: it counts in no majority until it is promoted. It must then be started. */
export async function addLearner(
  channel: Channel,
  peerUrls: readonly string[],
  options: CallOptions = {},
): Promise<{ readonly added: Member; readonly members: readonly Member[] }> {
  const request = { peerUrls: [...peerUrls], isLearner: true };
  const { member, members } = await channel.unary(methods.memberAdd, request, options);
  return { added: readMember(member ?? emptyMember), members: members.map(readMember) };
}

/** Gives a learner its vote. Refused until it has caught up. */
export async function promoteMember(
  channel: Channel,
  id: bigint,
  options: CallOptions = {},
): Promise<readonly Member[]> {
  return (await channel.unary(methods.memberPromote, { id }, options)).members.map(readMember);
}

/** Refused where the others that are there would be no majority. */
export async function removeMember(
  channel: Channel,
  id: bigint,
  options: CallOptions = {},
): Promise<readonly Member[]> {
  return (await channel.unary(methods.memberRemove, { id }, options)).members.map(readMember);
}

/** Says where a member takes its peers from now on. */
export async function moveMember(
  channel: Channel,
  id: bigint,
  peerUrls: readonly string[],
  options: CallOptions = {},
): Promise<readonly Member[]> {
  const request = { id, peerUrls: [...peerUrls] };
  return (await channel.unary(methods.memberUpdate, request, options)).members.map(readMember);
}

/** Of the member at `options.endpoint`, or of whichever answers. */
export async function memberStatus(channel: Channel, options: CallOptions = {}): Promise<MemberStatus> {
  const status = await channel.unary(methods.status, {}, options);
  return {
    memberId: status.header?.memberId ?? 0n,
    clusterId: status.header?.clusterId ?? 0n,
    version: status.version,
    leaderId: status.leader === 0n ? null : status.leader,
    learner: status.isLearner,
    revision: readRevision(status.header?.revision),
    raftTerm: status.raftTerm,
    raftIndex: status.raftIndex,
    raftAppliedIndex: status.raftAppliedIndex,
    databaseBytes: Number(status.dbSize),
    databaseBytesInUse: Number(status.dbSizeInUse),
    errors: status.errors,
  };
}

/** Hands leadership (of etcd itself) to another voting member. Only the leader takes this: name its endpoint. */
export async function moveLeader(
  channel: Channel,
  to: bigint,
  options: CallOptions & { readonly endpoint: string },
): Promise<void> {
  await channel.unary(methods.moveLeader, { targetId: to }, options);
}

export async function listAlarms(channel: Channel, options: CallOptions = {}): Promise<readonly Alarm[]> {
  const { alarms } = await channel.unary(methods.alarm, AlarmRequest.fromPartial({ action: 0 }), options);
  return alarms.flatMap(readAlarm);
}

/** Ends an alarm, once its cause is gone. */
export async function disarm(channel: Channel, alarm: Alarm, options: CallOptions = {}): Promise<void> {
  const kind = alarm.kind === "space" ? 1 : 2;
  await channel.unary(methods.alarm, { action: 2, memberId: alarm.memberId, alarm: kind }, options);
}

/**
 * Gives the space of what was deleted and compacted back to the disk. The member at `endpoint` answers nothing
 * meanwhile: one member after the other, and `timeoutMs` by the size of the database.
 */
export async function defragment(
  channel: Channel,
  options: CallOptions & { readonly endpoint: string },
): Promise<void> {
  await channel.unary(methods.defragment, {}, options);
}

/** The hash that etcd puts behind the database. */
const hashBytes = 32;

/**
 * The whole database of one member at one moment, as `etcdctl snapshot save` writes it to a file (with its hash, so that
 * `etcdctl snapshot restore` takes it). It is whole only when the loop ends without an error.
 * Errors: EtcdError; ETCD_SNAPSHOT_BROKEN when the hash is not that of what came; INTERRUPTED.
 */
export async function* snapshot(channel: Channel, options: CallOptions = {}): AsyncGenerator<Buffer, void> {
  const stream = await channel.stream(methods.snapshot, options);
  stream.send({});
  stream.end();
  const hash = createHash("sha256");
  let tail = Buffer.alloc(0);
  let left: bigint | null = null;
  for await (const { blob, remainingBytes } of stream) {
    left = remainingBytes;
    const held = Buffer.concat([tail, blob]);
    const known = Math.max(0, held.length - hashBytes);
    hash.update(held.subarray(0, known));
    tail = held.subarray(known);
    yield blob;
  }
  const broken = (problem: string) => new AtollError("ETCD_SNAPSHOT_BROKEN", { problem });
  if (left !== 0n) throw broken(left === null ? "nothing came" : `${left} bytes are missing`);
  if (!hash.digest().equals(tail)) throw broken("its hash is another");
}

const emptyMember: WireMember = { id: 0n, name: "", peerUrls: [], clientUrls: [], isLearner: false };

function readMember({ id, name, peerUrls, clientUrls, isLearner }: WireMember): Member {
  return { id, name, peerUrls, clientUrls, learner: isLearner };
}

function readAlarm({ memberId, alarm }: AlarmMember): Alarm[] {
  if (alarm === 1) return [{ memberId, kind: "space" }];
  return alarm === 2 ? [{ memberId, kind: "corrupt" }] : [];
}
