/** What a call that opens channels does, decided row by row before anything is written. Main thread; pure. */
import type { OpeningResult } from '../channel/changes.ts';
import { type Channel, encodeRow, ROW, ROW_BYTES } from '../channel/row.ts';
import { tableFull } from '../channel/table.ts';
import type { ClaimwireError } from '../errors.ts';
import { FreshLedgerIds, refusalOf, revival, rowAt } from './store-rules.ts';

/** What the openings are checked against. */
export interface KnownChannels {
  /** The channel here that has the handle or the ledger id of the row at `offset`, removed or not. */
  known: (rows: Uint8Array, view: DataView, offset: number) => Channel | undefined;
  /** Channels that are not here, and were removed by an earlier run or at another node, by handle. */
  removedElsewhere: ReadonlyMap<bigint, Channel>;
  /** Why no channel of this handle is opened here, whatever it is. */
  refusal: (channelId: bigint) => ClaimwireError | undefined;
  /** Rows that the table has left, and all that it has. */
  room: number;
  capacity: number;
}

export interface OpeningPlan {
  /** Packed rows that the table does not have. */
  fresh: Uint8Array<ArrayBuffer>;
  /** By the number of such a row: drops that were committed before its channel was removed elsewhere. */
  carried: Map<number, bigint>;
  revived: Revival[];
  unchanged: number;
  refused: OpeningResult['refused'];
}

/** A removed channel of the table that is opened again, as it will be. */
export interface Revival {
  channel: Channel;
  /** Drops that were committed when it was removed. */
  before: bigint;
}

/** @param rows packed rows, whose keys are checked already */
export function planOpenings(rows: Uint8Array, view: DataView, against: KnownChannels): OpeningPlan {
  const fresh = new Uint8Array(rows.length);
  const plan: OpeningPlan = { fresh, carried: new Map(), revived: [], unchanged: 0, refused: [] };
  const offsets = new Map<bigint, number>();
  const batch = new FreshLedgerIds(rows, view);
  let freshRows = 0;
  for (let offset = 0; offset < rows.length; offset += ROW_BYTES) {
    const channelId = view.getBigUint64(offset + ROW.channelId, true);
    const earlierRow = offsets.get(channelId) ?? batch.offsetOf(offset);
    const here = earlierRow === undefined ? against.known(rows, view, offset) : rowAt(rows, earlierRow);
    const gone = here === undefined ? against.removedElsewhere.get(channelId) : undefined;
    const isFull = here === undefined && freshRows === against.room;
    const refusal =
      against.refusal(channelId) ?? (isFull ? tableFull(against.capacity) : refusalOf(here ?? gone, rows, offset));
    if (refusal !== undefined) {
      plan.refused.push(refusalAt(offset / ROW_BYTES, refusal));
      continue;
    }
    if (here !== undefined && here.state !== 'removed') {
      plan.unchanged++;
      continue;
    }
    if (here !== undefined) {
      plan.revived.push({ channel: revival(here, rowAt(rows, offset)), before: here.committed });
    } else {
      if (gone === undefined) fresh.set(rows.subarray(offset, offset + ROW_BYTES), freshRows * ROW_BYTES);
      else {
        encodeRow(revival(gone, rowAt(rows, offset)), fresh, freshRows * ROW_BYTES);
        plan.carried.set(freshRows, gone.committed);
      }
      freshRows++;
    }
    offsets.set(channelId, offset);
    batch.add(offset);
  }
  plan.fresh = fresh.subarray(0, freshRows * ROW_BYTES);
  return plan;
}

/** The channels whose committed amount begins above what was committed before: no claim to this node paid the difference. */
export function* raisesOf({ fresh, carried, revived }: OpeningPlan): Generator<Revival> {
  const view = new DataView(fresh.buffer);
  for (let offset = 0; offset < fresh.length; offset += ROW_BYTES) {
    if (view.getUint32(offset + ROW.committed) === 0 && view.getUint32(offset + ROW.committed + 4) === 0) continue;
    const channel = rowAt(fresh, offset);
    const before = carried.get(offset / ROW_BYTES) ?? 0n;
    if (channel.committed > before) yield { channel, before };
  }
  for (const revival of revived) if (revival.channel.committed > revival.before) yield revival;
}

/** An entry of a bulk call's refusals. */
export function refusalAt(index: number, { code, message }: ClaimwireError): OpeningResult['refused'][number] {
  return { index, code, message };
}
