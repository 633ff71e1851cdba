/**
 * The logs of keyed charges: one of all channels, or where shards move between nodes one for each shard, so that a key is known
 * wherever its channel is. Main thread.
 *
 * Together they keep as many charges as one log does. What is too much goes from the longest, so a channel that is charged often
 * does not push out the keys of those that are not.
 */
import { shardOfChannel } from '../../protocol/shard.ts';
import type { SideChange, SideTables } from '../registry/side-tables.ts';
import { ChargeLog } from './charge-log.ts';
import { LOG_TABLE, type LoggedCharge, ROW_CHARGES, rowShard } from './charge-record.ts';

interface ChannelCharge extends LoggedCharge {
  readonly channelId: bigint;
}

/** Entries that one commit forgets: after a takeover there may be twice as many charges as are kept. */
const FORGOTTEN_MAX = 64;

export class ChargeLogs {
  readonly #tables: SideTables;
  readonly #kept: number;
  /** By shard; the one of all channels has none. */
  readonly #logs = new Map<number | undefined, ChargeLog>();
  /** What the commit under way adds to each log that it changes. */
  #drafts = new Map<ChargeLog, LoggedCharge[]>();

  constructor(tables: SideTables, kept: number) {
    this.#tables = tables;
    this.#kept = kept;
    if (tables.isSharded === true) this.#read(() => true);
    else this.#logs.set(undefined, new ChargeLog(tables, kept));
  }

  /** Drops of the charge of this name, if it is among those kept. */
  find(name: string, channelId: bigint): bigint | undefined {
    return this.#logs.get(this.#shardOf(channelId))?.find(name);
  }

  /** The changes that add charges and forget old ones. Call `added` once they are committed; they are otherwise forgotten. */
  changes(charges: readonly ChannelCharge[]): SideChange[] {
    const drafts = new Map<ChargeLog, LoggedCharge[]>();
    for (const charge of charges) {
      const log = this.#of(this.#shardOf(charge.channelId));
      const draft = drafts.get(log) ?? [];
      draft.push(charge);
      drafts.set(log, draft);
    }
    const forgotten = this.#surplus(charges.length);
    for (const log of forgotten.keys()) if (!drafts.has(log)) drafts.set(log, []);
    this.#drafts = drafts;
    return [...drafts].flatMap(([log, draft]) => log.changes(draft, forgotten.get(log)));
  }

  added(): void {
    for (const [log, draft] of this.#drafts) log.added(draft);
    this.#drafts = new Map();
  }

  /** The tables have the logs of these shards. */
  load(shards: readonly number[]): void {
    const loaded = new Set<number | undefined>(shards);
    this.#read((shard) => loaded.has(shard));
  }

  /** Leaves the logs of these shards alone from now on. */
  drop(shards: readonly number[]): void {
    for (const shard of shards) this.#logs.delete(shard);
  }

  #read(isWanted: (shard: number) => boolean): void {
    const rows = new Map<number, (readonly [Uint8Array, Uint8Array])[]>();
    for (const entry of this.#tables.entries(LOG_TABLE)) {
      const shard = rowShard(entry[0]);
      if (shard === undefined || !isWanted(shard)) continue;
      const own = rows.get(shard) ?? [];
      own.push(entry);
      rows.set(shard, own);
    }
    for (const [shard, own] of rows) this.#logs.set(shard, new ChargeLog(this.#tables, this.#kept, own, shard));
  }

  #of(shard: number | undefined): ChargeLog {
    const log = this.#logs.get(shard) ?? new ChargeLog(this.#tables, this.#kept, [], shard);
    this.#logs.set(shard, log);
    return log;
  }

  #shardOf(channelId: bigint): number | undefined {
    return this.#tables.isSharded === true ? shardOfChannel(channelId) : undefined;
  }

  /** How many entries each log has to forget so that there is room for so many charges more. A single log sees to it itself. */
  #surplus(added: number): ReadonlyMap<ChargeLog, number> {
    const forgotten = new Map<ChargeLog, number>();
    if (this.#tables.isSharded !== true || added === 0) return forgotten;
    const sizes = new Map([...this.#logs.values()].map((log) => [log, log.size]));
    let over = added - this.#kept;
    for (const size of sizes.values()) over += size;
    for (let count = 0; over >= ROW_CHARGES && count < FORGOTTEN_MAX; count++, over -= ROW_CHARGES) {
      const [longest, size] = [...sizes].reduce((most, each) => (each[1] > most[1] ? each : most));
      sizes.set(longest, size - ROW_CHARGES);
      forgotten.set(longest, (forgotten.get(longest) ?? 0) + 1);
    }
    return forgotten;
  }
}
