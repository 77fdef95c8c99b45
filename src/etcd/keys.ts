import type { Event, KeyValue as WireKeyValue } from "./generated/etcd.ts";

/** Which keys: one, all that begin with `prefix` ("" is all there are), or those from `from` up to and without `to`. */
export type Keys =
  | { readonly key: string }
  | { readonly prefix: string }
  | { readonly from: string; readonly to: string };

/** A key and its value as they were at one revision. */
export interface KeyValue {
  readonly key: string;
  readonly value: Buffer;
  /** Revision of the put that made the key. */
  readonly createRevision: number;
  /** Revision of the last put. */
  readonly modRevision: number;
  /** How many puts since it was made. */
  readonly version: number;
  /** The lease that it hangs on; 0n for none. */
  readonly lease: bigint;
}

/** A key was put, or deleted. Of a deleted one, `item` has the key, and as `modRevision` the revision that deleted it. */
export interface Change {
  readonly type: "put" | "delete";
  readonly item: KeyValue;
  /** As it was before, where that was asked for and is not compacted. */
  readonly previous: KeyValue | null;
}

/** `keys` as etcd asks for them: from the first key up to and without the second; an empty second one means the first key alone. */
export function wireKeys(keys: Keys): { key: Buffer; rangeEnd: Buffer } {
  if ("key" in keys) return { key: Buffer.from(keys.key), rangeEnd: Buffer.alloc(0) };
  if ("from" in keys) return { key: Buffer.from(keys.from), rangeEnd: Buffer.from(keys.to) };
  // A single zero byte is etcd's sign for no end, and the smallest key there can be.
  if (keys.prefix === "") return { key: Buffer.from([0]), rangeEnd: Buffer.from([0]) };
  const prefix = Buffer.from(keys.prefix);
  // The first key behind all that begin so: the last byte is never 0xff, which UTF-8 does not have.
  const rangeEnd = Buffer.from(prefix);
  rangeEnd[rangeEnd.length - 1] = (prefix.at(-1) ?? 0) + 1;
  return { key: prefix, rangeEnd };
}

/** The smallest key that is greater than `key`. */
export function justAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.from([0])]);
}

export function readKeyValue(wire: WireKeyValue): KeyValue {
  return {
    key: wire.key.toString(),
    value: wire.value,
    createRevision: readRevision(wire.createRevision),
    modRevision: readRevision(wire.modRevision),
    version: readRevision(wire.version),
    lease: wire.lease,
  };
}

export function readChange(event: Event): Change {
  return {
    type: event.type === 1 ? "delete" : "put",
    item: readKeyValue(event.kv ?? noKey),
    previous: event.prevKv ? readKeyValue(event.prevKv) : null,
  };
}

const noKey: WireKeyValue = {
  key: Buffer.alloc(0),
  value: Buffer.alloc(0),
  createRevision: 0n,
  modRevision: 0n,
  version: 0n,
  lease: 0n,
};

/** Revisions count writes: 2^53 of them take longer than any fleet lives. Lease ids are not numbers in this sense. */
export function readRevision(wire: bigint | undefined): number {
  return Number(wire ?? 0n);
}
