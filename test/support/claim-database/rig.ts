/** What the cases of the contract share: the database under test, and how they look into it. */
import { expect } from 'vitest';
import { SHARDS } from '../../../protocol/shard.ts';
import type { Channel } from '../../../src/channel/row.ts';
import { decodeRow, ROW_BYTES } from '../../../src/channel/row.ts';
import { RECORD_BYTES } from '../../../src/journal/record.ts';
import type { ClaimDatabase, StoredGroup } from '../../../src/store/claim-database.ts';

/** Writes that are held where they have their locks and have not taken effect. */
export interface Hold {
  /** Resolves once a write is held. */
  waiting(): Promise<void>;
  release(): Promise<void> | void;
}

/** One database, empty, and what a case does with it. */
export interface DatabaseRig {
  /** Another handle on the same database. */
  open(): ClaimDatabase | Promise<ClaimDatabase>;
  /** Holds the writes that begin from now on. */
  hold(): Promise<Hold> | Hold;
  close(): Promise<void>;
}

/** Another handle on the database of a case, closed after it. */
export type Open = () => Promise<ClaimDatabase>;

export const ALL = Array.from({ length: SHARDS }, (_, shard) => shard);
export const FENCED = { code: 'STORE_FENCED' };
export const INVALID = { code: 'INPUT_INVALID' };
export const FAILED = { code: 'STORE_FAILED' };

export const records = (count: number, fill = 1): Uint8Array => new Uint8Array(count * RECORD_BYTES).fill(fill);
export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

export async function channelsOf(database: ClaimDatabase, shards: readonly number[] = ALL): Promise<Channel[]> {
  const found: Channel[] = [];
  const total = await database.readChannels(shards, (rows) => {
    for (let start = 0; start < rows.length; start += ROW_BYTES)
      found.push(decodeRow(rows.subarray(start, start + ROW_BYTES)));
  });
  expect(total).toBe(found.length);
  return found.sort((left, right) => (left.channelId < right.channelId ? -1 : 1));
}

export async function groupsOf(database: ClaimDatabase, node: string): Promise<StoredGroup[]> {
  const found: StoredGroup[] = [];
  const total = await database.readGroups(node, (group) => {
    found.push({ ...group, records: Uint8Array.from(group.records) });
  });
  expect(total).toBe(found.length);
  return found;
}

export const places = async (database: ClaimDatabase, node: string) =>
  (await groupsOf(database, node)).map(({ epoch, lane, group }) => `${epoch}/${lane}/${group}`);

export async function sidesOf(database: ClaimDatabase, node: string): Promise<string[]> {
  const found: string[] = [];
  const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
  const total = await database.readSides(node, (table, key, value) => found.push(`${table} ${hex(key)} ${hex(value)}`));
  expect(total).toBe(found.length);
  return found;
}

export async function holders(database: ClaimDatabase): Promise<Record<string, number[]>> {
  const held: Record<string, number[]> = {};
  for (const { shard, node = '' } of (await database.state()).shards) {
    held[node] ??= [];
    held[node].push(shard);
  }
  return held;
}

/** Gives every shard to one node. */
export const allTo = (node: string): Map<number, string> => new Map(ALL.map((shard) => [shard, node]));
