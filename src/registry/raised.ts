/**
 * By how much each channel's committed amount was raised without a claim, since the ledger had paid for one that this node
 * never had. Nobody paid this node for these drops: a service may not spend them, so a meter takes them off what is
 * committed. Side tables; main thread.
 */
import { assert } from '../errors.ts';
import type { SideChange, SideTables } from './side-tables.ts';

const RAISED_TABLE = 'ledger-raised';

/**
 * Value of an entry: version byte, then u64 big-endian each. `drops` includes the last raise, `from` and `to` are what was
 * committed before and after that one. They tell a raise that was recorded, but not made before the process ended.
 */
const VERSION = 1;
const VALUE_BYTES = 25;
interface Raised {
  drops: bigint;
  from: bigint;
  to: bigint;
}
const NONE: Raised = { drops: 0n, from: 0n, to: 0n };

/** Drops of a channel's committed amount that no claim to this node paid. */
export function raisedDrops(tables: Pick<SideTables, 'get'>, channelId: bigint): bigint {
  return readRaised(tables, channelId).drops;
}

/** The change that records a raise from what is committed to `to`; it goes to disk before the raise is made. */
export function raise(tables: Pick<SideTables, 'get'>, channelId: bigint, committed: bigint, to: bigint): SideChange {
  assert(to > committed, 'a raise goes up');
  const last = readRaised(tables, channelId);
  // A committed amount never falls, so less than the last raise's end says that it was never made.
  const made = committed < last.to ? last.drops - (last.to - last.from) : last.drops;
  const value = new Uint8Array(VALUE_BYTES);
  const view = new DataView(value.buffer);
  view.setUint8(0, VERSION);
  view.setBigUint64(1, made + to - committed);
  view.setBigUint64(9, committed);
  view.setBigUint64(17, to);
  return { table: RAISED_TABLE, key: keyOf(channelId), value };
}

function readRaised(tables: Pick<SideTables, 'get'>, channelId: bigint): Raised {
  const value = tables.get(RAISED_TABLE, keyOf(channelId));
  if (value === undefined) return NONE;
  assert(value.length === VALUE_BYTES && value[0] === VERSION, 'a raise is stored in a known form');
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  return { drops: view.getBigUint64(1), from: view.getBigUint64(9), to: view.getBigUint64(17) };
}

function keyOf(channelId: bigint): Uint8Array {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigUint64(0, channelId);
  return key;
}
