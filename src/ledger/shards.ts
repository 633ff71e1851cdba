/**
 * What the ledger's side keeps of channels, as their shards come and go: views, redemptions, creations. Main thread.
 *
 * A shard that is given away waits for commits under way and for nothing on the ledger, where a final result takes seconds: a
 * redemption whose intent is written goes on at whoever gets the shard, by its hash; one whose is not, was not submitted.
 */
import type { ShardFollower } from '../control/shard-control.ts';
import { CREATIONS_TABLE } from './creation-journal.ts';
import { REDEMPTIONS_TABLE } from './redemption-journal.ts';
import type { ShardTables } from './shard-tables.ts';
import type { LedgerView } from './view.ts';
import { VIEW_TABLES } from './view-entries.ts';
import type { LedgerViews } from './views.ts';

type Side = Parameters<ShardFollower['load']>[0];
type Entry = readonly [key: Uint8Array, value: Uint8Array];

/** What works through a table of its own. */
export interface ShardPart {
  readonly table: string;
  /** Ends what is under way, and begins nothing. */
  drain(shards: ReadonlySet<number>): void;
  /** Goes on. @param entries those that are new here */
  serve(shards: ReadonlySet<number>, entries: Iterable<Entry>): void;
  drop(shards: ReadonlySet<number>): void;
}

interface LedgerShardsParts {
  tables: ShardTables;
  views: LedgerViews;
  /** Refuses claims of a channel from when its view says. */
  lease: (view: LedgerView) => void;
  /** Called once the node serves these. */
  arrived: (views: readonly LedgerView[]) => void;
}

const FOLLOWED: ReadonlySet<string> = new Set([...VIEW_TABLES, REDEMPTIONS_TABLE, CREATIONS_TABLE]);

export class LedgerShards implements ShardFollower {
  readonly #parts: LedgerShardsParts;
  readonly #others: ShardPart[] = [];
  /** Entries that were loaded and are not served yet, by shard, table and key. */
  readonly #loaded = new Map<number, Map<string, { table: string; entry: Entry }>>();

  constructor(parts: LedgerShardsParts) {
    this.#parts = parts;
  }

  add(part: ShardPart | undefined): void {
    if (part !== undefined) this.#others.push(part);
  }

  load({ shard, table, key, value }: Side): void {
    if (!FOLLOWED.has(table)) return;
    const entries = this.#loaded.get(shard) ?? new Map<string, { table: string; entry: Entry }>();
    entries.set(`${table} ${Buffer.from(key).toString('hex')}`, { table, entry: [key.slice(), value.slice()] });
    this.#loaded.set(shard, entries);
  }

  serve(shards: readonly number[]): void {
    const { tables, views, lease, arrived } = this.#parts;
    const served = new Set(shards);
    const loaded = shards.flatMap((shard) => [...(this.#loaded.get(shard)?.values() ?? [])]);
    for (const shard of shards) this.#loaded.delete(shard);
    const entriesOf = (wanted: string) => loaded.filter(({ table }) => table === wanted).map(({ entry }) => entry);
    tables.serve(shards);
    const here = [...views.serve(served), ...views.load(entriesOf)];
    // Nobody knows what has become of them on the ledger since they were seen.
    for (const view of here) lease(view);
    for (const part of this.#others) part.serve(served, entriesOf(part.table));
    // The node serves them before it gives up its turn.
    if (here.length > 0) void Promise.resolve().then(() => arrived(here));
  }

  async drain(shards: readonly number[]): Promise<void> {
    const { tables, views } = this.#parts;
    const drained = new Set(shards);
    const settled = tables.drain(shards);
    views.drain(drained);
    for (const part of this.#others) part.drain(drained);
    await settled;
  }

  drop(shards: readonly number[]): void {
    const dropped = new Set(shards);
    this.#parts.views.drop(dropped);
    for (const part of this.#others) part.drop(dropped);
  }
}
