import { hasCode } from "../errors.ts";
import type { Channel } from "./channel.ts";
import { mayPass } from "./failure.ts";
import type { Change, Keys, KeyValue } from "./keys.ts";
import { type Page, range } from "./kv.ts";
import { pause, pauseMs } from "./pause.ts";
import { type WatchOptions, watch } from "./watch.ts";

export interface Update {
  /** The revision at which `items` was so. */
  readonly revision: number;
  /** Every key, by its name. It is the informer's own: copy what must outlive the next update. */
  readonly items: ReadonlyMap<string, KeyValue>;
  /** What is not as it was in the update before; everything in the first. Empty when nothing but the revision went on. */
  readonly changes: readonly Change[];
  /** Whether it was listed, first or because the history between was dropped, or seen change by change. */
  readonly source: "list" | "watch";
}

export interface InformerOptions extends Omit<WatchOptions, "from" | "previous" | "only"> {
  readonly pageSize?: number;
}

/**
 * What `keys` hold, kept up to date: first a list, then each change as it comes, and a list again where etcd has dropped
 * what came between. Each update is the state at one revision. Whoever reads slowly makes etcd wait, and loses nothing.
 * Ends when the signal fires. Errors: EtcdError when etcd refuses (ETCD_REFUSED); INTERRUPTED when the channel was closed.
 */
export async function* inform(
  channel: Channel,
  keys: Keys,
  options: InformerOptions = {},
): AsyncGenerator<Update, void> {
  const { signal } = options;
  const items = new Map<string, KeyValue>();
  while (!signal?.aborted) {
    const page = await list(channel, keys, options);
    if (page === null) return;
    const changes = difference(items, page);
    apply(items, changes);
    yield { revision: page.revision, items, changes, source: "list" };
    for await (const event of watch(channel, keys, { ...options, from: page.revision + 1 })) {
      if (event.kind === "compacted" || event.kind === "rewound") break;
      const { revision } = event;
      if (event.kind === "changes") apply(items, event.changes);
      yield { revision, items, changes: event.kind === "changes" ? event.changes : [], source: "watch" };
    }
  }
}

/** Lists until it goes well; null when the signal fired. */
async function list(channel: Channel, keys: Keys, options: InformerOptions): Promise<Page | null> {
  const { signal, pageSize, onInterruption } = options;
  for (let tries = 1; ; tries++) {
    try {
      return await range(channel, keys, { signal, ...(pageSize !== undefined && { pageSize }) });
    } catch (error) {
      if (signal?.aborted) return null;
      // Compacted between two pages: the next list is of a newer revision.
      if (!mayPass(error) && !hasCode(error, "ETCD_COMPACTED")) throw error;
      onInterruption?.(error);
    }
    await pause(pauseMs(tries), "listing", signal).catch(() => {});
    if (signal?.aborted) return null;
  }
}

function apply(items: Map<string, KeyValue>, changes: readonly Change[]): void {
  for (const { type, item } of changes) {
    if (type === "put") items.set(item.key, item);
    else items.delete(item.key);
  }
}

/**
 * What must have changed between what is known and what was listed, deletions first. After etcd was restored from a
 * backup the same revision can have written something else: values count, not only revisions.
 */
export function difference(known: ReadonlyMap<string, KeyValue>, page: Page): Change[] {
  const there = new Set(page.items.map(({ key }) => key));
  const gone = [...known.values()].filter(({ key }) => !there.has(key));
  const written = page.items.filter((item) => {
    const before = known.get(item.key);
    return before?.modRevision !== item.modRevision || !before.value.equals(item.value);
  });
  return [
    ...gone.map((item): Change => {
      const deleted = { ...item, value: Buffer.alloc(0), modRevision: page.revision };
      return { type: "delete", item: deleted, previous: item };
    }),
    ...written.map((item): Change => ({ type: "put", item, previous: known.get(item.key) ?? null })),
  ];
}
