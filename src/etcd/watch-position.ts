import type { WatchResponse } from "./generated/etcd.ts";
import { type Change, readChange, readRevision } from "./keys.ts";

export type WatchEvent =
  /** What changed up to `revision`, in order; never a part of a revision. */
  | { readonly kind: "changes"; readonly revision: number; readonly changes: readonly Change[] }
  /** Nothing more changed up to `revision`. */
  | { readonly kind: "progress"; readonly revision: number }
  /** The history from where we were up to and without `revision` is dropped: the last event. List, and watch from there. */
  | { readonly kind: "compacted"; readonly revision: number }
  /** etcd, at `revision` now, has another history than the one we saw: it was restored from a backup. The last event, as above. */
  | { readonly kind: "rewound"; readonly revision: number };

/** Where a watch is: what it has seen, whatever stream that came over. */
export interface Position {
  /** The first revision that was not seen yet. */
  readonly next: number;
  /** The part of a revision that came so far, where etcd sends it in pieces. */
  readonly pieces: readonly Change[];
  /** The cluster whose history that is; null until its first message. */
  readonly cluster: bigint | null;
}

/** Where a watch begins that is to see everything from revision `next` on. */
export function positionAt(next: number): Position {
  return { next, pieces: [], cluster: null };
}

export interface Step {
  readonly position: Position;
  readonly event: WatchEvent | null;
  /** What is to become of the stream. `behind`: it is open, on a member that does not know of `next` yet. */
  readonly outcome: "read" | "behind" | "reopen" | { readonly refused: string };
}

/**
 * What a message means to a watch at `position`. The position moves on only by what changed (to the revision after the
 * last change) and by progress, never by the header of a message with changes: while a watch catches up, that is the
 * revision of the store, and whoever resumes there loses all between.
 */
export function receive(position: Position, message: WatchResponse): Step {
  const head = readRevision(message.header?.revision);
  if (message.canceled) return cancelled(position, message);
  if (message.created) return opened(position, head, message.header?.clusterId ?? 0n);
  const pieces = [...position.pieces, ...message.events.map(readChange)];
  if (message.fragment) return { position: { ...position, pieces }, event: null, outcome: "read" };
  // A member that was behind may send what came before the revision that it was asked for (etcd pull request 20229).
  const changes = pieces.filter(({ item }) => item.modRevision >= position.next);
  const last = changes.at(-1);
  if (last !== undefined) {
    const revision = last.item.modRevision;
    return moved(position, revision, { kind: "changes", revision, changes });
  }
  if (pieces.length === 0 && head >= position.next) {
    return moved(position, head, { kind: "progress", revision: head });
  }
  return { position: { ...position, pieces: [] }, event: null, outcome: "read" };
}

/** A cluster that is restored under a new token (as it should be) has another id; else an earlier revision shows it. */
function opened(position: Position, head: number, cluster: bigint): Step {
  if (position.cluster !== null && position.cluster !== cluster) {
    return { position, event: { kind: "rewound", revision: head }, outcome: "read" };
  }
  const outcome = head > 0 && head < position.next - 1 ? "behind" : "read";
  return { position: { ...position, cluster }, event: null, outcome };
}

function moved(position: Position, revision: number, event: WatchEvent): Step {
  return { position: { ...position, next: revision + 1, pieces: [] }, event, outcome: "read" };
}

/** etcd 3.4 gives no reason for a compacted revision, and no revision in the header: only `compactRevision` tells. */
function cancelled(position: Position, message: WatchResponse): Step {
  const revision = readRevision(message.compactRevision);
  if (revision > 0) return { position, event: { kind: "compacted", revision }, outcome: "read" };
  const refused = message.created && !message.cancelReason.includes("revision of auth store is old");
  return { position, event: null, outcome: refused ? { refused: message.cancelReason } : "reopen" };
}

/** The stream broke: pieces of a revision are sent again from the first. */
export function resumed(position: Position): Position {
  return { ...position, pieces: [] };
}
