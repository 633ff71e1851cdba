/** What a database refuses before it asks: names, numbers and sizes that no node means. Used by each ClaimDatabase, so that all refuse the same. */

import { ROW_BYTES, rowFault } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';
import { GROUP_CLAIMS_LIMIT, RECORD_BYTES } from '../journal/record.ts';
import { SIDE_LIMITS, type SideChange } from '../registry/side-tables.ts';
import { type Fence, SHARDS } from './claim-database.ts';

/** What a call may have. */
const STORE_LIMITS = {
  lanesMax: 256,
  /** Places that a node names at a beat, and characters of one. */
  placesMax: 16,
  placeCharactersMax: 256,
} as const;

const NODE_NAME = /^[a-z0-9-]{1,64}$/;
const TABLE_NAME = new RegExp(`^[a-z0-9-]{1,${SIDE_LIMITS.tableNameMax}}$`);
/** Printable, and without quotes and backslashes. */
const PLACE = /^[!#-&(-[\]-~]+$/;

export function expectNode(node: string): void {
  if (typeof node === 'string' && NODE_NAME.test(node)) return;
  throw invalid(`expected a node name of 1 to 64 of a-z, 0-9 and hyphen, got ${shown(node)}`);
}

/** A fence that the database cannot have given is no right to write. */
export function expectFence({ node, epoch, holding }: Fence): void {
  expectNode(node);
  if (Number.isSafeInteger(epoch) && epoch >= 1 && Number.isSafeInteger(holding) && holding >= 0) return;
  throw fenced(node, `expected a fence of the database, got epoch ${epoch} and holding ${holding}`);
}

export function expectGroup(lane: number, group: number, records: Uint8Array): void {
  expectWhole('lane', lane, 0, STORE_LIMITS.lanesMax - 1);
  expectWhole('group', group, 1, Number.MAX_SAFE_INTEGER);
  const count = records.length / RECORD_BYTES;
  if (Number.isInteger(count) && count >= 1 && count <= GROUP_CLAIMS_LIMIT) return;
  throw invalid(`expected 1 to ${GROUP_CLAIMS_LIMIT} records of ${RECORD_BYTES} bytes, got ${records.length} bytes`);
}

/** @param below of `dropGroups`, a bound for each lane */
export function expectBounds(below: readonly number[]): void {
  if (below.length > STORE_LIMITS.lanesMax)
    throw invalid(`expected ${STORE_LIMITS.lanesMax} lanes at most, got ${below.length}`);
  for (const bound of below) expectWhole('bound of a lane', bound, 0, Number.MAX_SAFE_INTEGER);
}

export function expectShards(shards: Iterable<number>): void {
  for (const shard of shards) expectWhole('shard', shard, 0, SHARDS - 1);
}

export function expectRows(rows: Uint8Array): void {
  if (rows.length % ROW_BYTES !== 0) throw invalid(`expected rows of ${ROW_BYTES} bytes, got ${rows.length} bytes`);
  for (let start = 0; start < rows.length; start += ROW_BYTES) {
    const fault = rowFault(rows.subarray(start, start + ROW_BYTES));
    if (fault !== undefined) throw invalid(`row ${start / ROW_BYTES}: ${fault}`);
  }
}

export function expectChanges(changes: readonly SideChange[]): void {
  for (const { table, key, value, shard } of changes) {
    if (shard !== undefined) expectWhole('shard', shard, 0, SHARDS - 1);
    if (!TABLE_NAME.test(table)) throw invalid(`expected the name of a side table, got ${shown(table)}`);
    expectWhole('bytes of a key', key.length, 1, SIDE_LIMITS.keyBytesMax);
    expectWhole('bytes of a value', value?.length ?? 0, 0, SIDE_LIMITS.valueBytesMax);
  }
}

export function expectPlaces(places: readonly string[]): void {
  const { placesMax, placeCharactersMax } = STORE_LIMITS;
  if (places.length > placesMax) throw invalid(`expected ${placesMax} places at most, got ${places.length}`);
  for (const place of places)
    if (place.length > placeCharactersMax || !PLACE.test(place))
      throw invalid(
        `expected a place of 1 to ${placeCharactersMax} printable characters without quotes, got ${shown(place)}`,
      );
}

export function fenced(node: string, message: string): ClaimwireError {
  return new ClaimwireError(
    'STORE_FENCED',
    `store: ${message}; another node took ${node}'s shards, or it was started twice`,
  );
}

export function invalid(message: string): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `store: ${message}`);
}

export function moved(node: string): ClaimwireError {
  return new ClaimwireError(
    'MOVED',
    `store: expected side entries of shards that ${node} holds, got one of another; ask for the route`,
  );
}

export function closed(): ClaimwireError {
  return new ClaimwireError('STORE_FAILED', 'store: expected an open database, got one that was closed');
}

function expectWhole(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw invalid(`${name}: expected a whole number of ${min} to ${max}, got ${value}`);
}

/** A text that may be long or no text at all, for a message. */
function shown(value: unknown): string {
  return JSON.stringify(String(value).slice(0, 80));
}
