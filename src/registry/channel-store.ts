/**
 * The channels of a running node: the table the claim path reads and the registry behind it, kept in step. Main thread.
 *
 * Every change is durable in the registry before it may let a claim through, and known to the committers before it is
 * reported as done. Changes run one at a time, checkpoints among them, so none overwrites another with an older row.
 */

import type { ChannelChange, ChannelOpening, OpeningResult, RemovalResult } from '../channel/changes.ts';
import { KeyCheck, upperHex } from '../channel/parse.ts';
import { type Channel, encodeRow, ROW, ROW_BYTES, STATE_REMOVED, stateOf } from '../channel/row.ts';
import { type ChannelTable, highHalf, lowHalf } from '../channel/table.ts';
import { ClaimwireError } from '../errors.ts';
import type { RegistryStore } from './registry-store.ts';
import {
  earlier,
  expectCovers,
  FreshLedgerIds,
  hasDefaultHandle,
  isSame,
  ledgerIdHex,
  lower,
  packed,
  packedRows,
  refusalOf,
  revival,
  rowAt,
  UNUSED,
  unknown,
  unredeemed,
} from './store-rules.ts';

/** Rows per registry commit while checkpointing: 1.4 MiB, so that the event loop is never held for long. */
const CHECKPOINT_ROWS = 8_192;

export class ChannelStore {
  readonly #table: ChannelTable;
  readonly #registry: RegistryStore;
  /** Resolves once no group is open that began before the call. */
  readonly #fence: () => Promise<void>;
  /** Rows whose handle is not the start of their ledger id: the only way one ledger channel could be opened twice. */
  readonly #rowsByLedgerId = new Map<string, number>();
  readonly #keys = new KeyCheck();
  /** Rows of channels removed before this start, in order: the next openings take them. */
  #free: number[] = [];
  /** Rows removed since, which have to wait for the next start. */
  #removed = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(table: ChannelTable, registry: RegistryStore, fence: () => Promise<void>) {
    this.#table = table;
    this.#registry = registry;
    this.#fence = fence;
  }

  get count(): number {
    return this.#table.rows - this.#free.length - this.#removed;
  }

  /** Puts the stored row at `offset` of `bytes` into the table, at start, or a new one in the place of a free one. */
  load(bytes: Uint8Array, view: DataView, offset: number, free?: number): void {
    const row = this.#table.insertRow(bytes, view, offset, free);
    if (stateOf(bytes[offset + ROW.state]!) === STATE_REMOVED) return;
    if (!hasDefaultHandle(view, offset)) this.#rowsByLedgerId.set(ledgerIdHex(bytes, offset), row);
  }

  /** Once all rows are loaded: a replay may meet claims of removed channels. */
  indexRemoved(): void {
    this.#table.indexRemoved();
  }

  /** Forgets removed channels altogether: at start, when nothing of theirs is left in any journal. */
  freeRemoved(): void {
    this.#free = this.#table.free();
  }

  get(channelId: bigint): Channel | undefined {
    const row = this.#row(channelId);
    return row < 0 || this.#table.isRemoved(row) ? undefined : this.#table.read(row);
  }

  list(from: number, limit: number): Channel[] {
    const end = Math.min(this.#table.rows, from + limit);
    const result: Channel[] = [];
    for (let row = from; row < end; row++) result.push(this.#table.read(row));
    return result;
  }

  async open(openings: readonly ChannelOpening[]): Promise<OpeningResult> {
    const rows = new Uint8Array(openings.length * ROW_BYTES);
    const refused: OpeningResult['refused'] = [];
    const sound: number[] = [];
    for (const [index, opening] of openings.entries()) {
      try {
        this.#keys.check(upperHex(opening.publicKey), 'publicKey');
        encodeRow({ ...opening, ...UNUSED }, rows, (sound.push(index) - 1) * ROW_BYTES);
      } catch (error) {
        if (!(error instanceof ClaimwireError)) throw error;
        refused.push({ index, code: error.code, message: error.message });
      }
    }
    const result = await this.openRows(rows.subarray(0, sound.length * ROW_BYTES));
    for (const refusal of result.refused) refused.push({ ...refusal, index: sound[refusal.index]! });
    return { ...result, refused: refused.sort((left, right) => left.index - right.index) };
  }

  /**
   * Opens channels given as packed rows of fresh channels, keys checked already: what a bulk import is made of, so
   * nothing is made per row.
   */
  openRows(rows: Uint8Array): Promise<OpeningResult> {
    return this.#exclusively(async () => {
      const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
      const result: OpeningResult = { opened: 0, unchanged: 0, refused: [] };
      const fresh = new Uint8Array(rows.length);
      const offsets = new Map<bigint, number>();
      const batch = new FreshLedgerIds(rows, view);
      const revived: Revival[] = [];
      const room = this.#table.capacity - this.#table.rows + this.#free.length;
      let freshRows = 0;
      for (let offset = 0; offset < rows.length; offset += ROW_BYTES) {
        const channelId = view.getBigUint64(offset + ROW.channelId, true);
        const twin = offsets.get(channelId) ?? batch.offsetOf(offset);
        const known = twin === undefined ? this.#known(rows, view, offset) : rowAt(rows, twin);
        const refusal =
          refusalOf(known, rows, offset) ?? (known === undefined && freshRows === room ? this.#full() : undefined);
        if (refusal !== undefined) {
          result.refused.push({ index: offset / ROW_BYTES, code: refusal.code, message: refusal.message });
        } else if (known === undefined) {
          fresh.set(rows.subarray(offset, offset + ROW_BYTES), freshRows++ * ROW_BYTES);
          offsets.set(channelId, offset);
          batch.add(offset);
        } else if (known.state === 'removed') {
          revived.push({ row: this.#row(channelId), channel: revival(known, rowAt(rows, offset)) });
          offsets.set(channelId, offset);
          batch.add(offset);
        } else result.unchanged++;
      }
      await this.#write(fresh.subarray(0, freshRows * ROW_BYTES), revived);
      result.opened = freshRows + revived.length;
      return result;
    });
  }

  /** Makes new channels, and removed ones that come back, durable in one commit, and then known to the claim path. */
  async #write(fresh: Uint8Array<ArrayBuffer>, revived: readonly Revival[]): Promise<void> {
    const count = fresh.length / ROW_BYTES;
    const free = this.#free.slice(0, count);
    if (revived.length === 0) {
      await this.#registry.replace(free, fresh);
    } else {
      const back = packedRows(revived.map(({ channel }) => channel));
      const rows = new Uint8Array(back.length + fresh.length);
      rows.set(back);
      rows.set(fresh, back.length);
      await this.#registry.replace([...revived.map(({ row }) => row), ...free], rows);
    }
    this.#free = this.#free.slice(free.length);
    const view = new DataView(fresh.buffer);
    for (let index = 0; index < count; index++) this.load(fresh, view, index * ROW_BYTES, free[index]);
    for (const { row, channel } of revived) this.#revive(row, channel);
  }

  #revive(row: number, channel: Channel): void {
    const { capacity, expiresAt, throwAway = false } = channel;
    this.#table.change(row, { capacity, expiresAt, throwAway, removed: false, open: true });
    this.#removed -= 1;
    const bytes = packedRows([channel]);
    if (!hasDefaultHandle(new DataView(bytes.buffer), 0)) this.#rowsByLedgerId.set(ledgerIdHex(bytes, 0), row);
  }

  update(channelId: bigint, change: ChannelChange): Promise<Channel> {
    return this.#exclusively(async () => {
      const row = this.#expectRow(channelId);
      const before = this.#table.read(row);
      if (before.state !== 'open')
        throw new ClaimwireError('CHANNEL_CLOSED', `channel ${channelId}: expected an open channel, got a closed one`);
      const { capacity = before.capacity, expiresAt = before.expiresAt } = change;
      expectCovers(capacity, before);
      const narrow = {
        capacity: lower(capacity, before.capacity),
        expiresAt: earlier(expiresAt, before.expiresAt),
      };
      if (narrow.capacity !== before.capacity || narrow.expiresAt !== before.expiresAt) {
        // What narrows is in force first; a group that was open meanwhile may have gone above the new capacity.
        this.#table.change(row, narrow);
        await this.#fence();
        const { committed } = this.#table.read(row);
        if (committed > capacity) {
          this.#table.change(row, { capacity: before.capacity, expiresAt: before.expiresAt });
          expectCovers(capacity, { ...before, committed });
        }
      }
      // What widens is durable first, so that nothing is accepted on a promise that a crash could take back.
      const wanted = packed({ ...this.#table.read(row), capacity, expiresAt });
      await this.#replaceOr(row, wanted, { capacity: before.capacity, expiresAt: before.expiresAt });
      this.#table.change(row, { capacity, expiresAt });
      return this.#table.read(row);
    });
  }

  close(channelId: bigint): Promise<Channel> {
    return this.#exclusively(async () => {
      const row = this.#expectRow(channelId);
      const wasOpen = this.#table.read(row).state === 'open';
      this.#table.change(row, { open: false });
      await this.#fence();
      const channel = this.#table.read(row);
      await this.#replaceOr(row, packed(channel), { open: wasOpen });
      return channel;
    });
  }

  /**
   * Removes channels: closed first, then gone from the registry in one commit, all of them with one fence. A kill before
   * that commit leaves them as they were; after it a replay finds their rows, and what it says of them is forgotten.
   */
  remove(channelIds: readonly bigint[], force: boolean): Promise<RemovalResult> {
    return this.#exclusively(async () => {
      const refused: RemovalResult['refused'] = [];
      const leaving = new Map<number, Leaving>();
      for (const [index, channelId] of channelIds.entries()) {
        const row = this.#row(channelId);
        const channel = row < 0 || this.#table.isRemoved(row) ? undefined : this.#table.read(row);
        const refusal = channel === undefined ? unknown(channelId) : unredeemed(channel, force);
        if (refusal !== undefined) refused.push({ index, code: refusal.code, message: refusal.message });
        else leaving.set(row, { index, wasOpen: channel!.state === 'open' });
      }
      try {
        for (const row of leaving.keys()) this.#table.change(row, { open: false });
        if (leaving.size > 0) await this.#fence();
        // A group that was open meanwhile may have committed the first amount of a channel.
        for (const [row, { index, wasOpen }] of leaving) {
          const refusal = unredeemed(this.#table.read(row), force);
          if (refusal === undefined) continue;
          refused.push({ index, code: refusal.code, message: refusal.message });
          this.#table.change(row, { open: wasOpen });
          leaving.delete(row);
        }
        const rows = [...leaving.keys()];
        const gone = rows.map((row): Channel => ({ ...this.#table.read(row), state: 'removed' }));
        await this.#registry.replace(rows, packedRows(gone));
      } catch (error) {
        for (const [row, { wasOpen }] of leaving) this.#table.change(row, { open: wasOpen });
        throw error;
      }
      for (const row of leaving.keys()) this.#forget(row);
      refused.sort((left, right) => left.index - right.index);
      return { removed: leaving.size, refused };
    });
  }

  #forget(row: number): void {
    this.#table.change(row, { removed: true });
    this.#removed += 1;
    const ledgerId = upperHex(this.#table.ledgerId(row));
    if (this.#rowsByLedgerId.get(ledgerId) === row) this.#rowsByLedgerId.delete(ledgerId);
  }

  /** Writes every row the registry is behind on; durable when it resolves. Returns how many there were. */
  async checkpoint(): Promise<number> {
    const buffer = new Uint8Array(CHECKPOINT_ROWS * ROW_BYTES);
    const rows: number[] = [];
    let written = 0;
    let row = 0;
    while (row < this.#table.rows) {
      written += await this.#exclusively(async () => {
        rows.length = 0;
        for (; row < this.#table.rows && rows.length < CHECKPOINT_ROWS; row++) {
          if (this.#table.takeDirty(row)) encodeRow(this.#table.read(row), buffer, (rows.push(row) - 1) * ROW_BYTES);
        }
        try {
          await this.#registry.replace(rows, buffer.subarray(0, rows.length * ROW_BYTES));
        } catch (error) {
          // Still behind: a later checkpoint that passed them over would let their journal go.
          for (const behind of rows) this.#table.markDirty(behind);
          throw error;
        }
        return rows.length;
      });
    }
    return written;
  }

  /** Makes a row durable; where the registry has no room for it, the table's row is put back: the caller is told of no change. */
  async #replaceOr(row: number, bytes: Uint8Array, before: Parameters<ChannelTable['change']>[1]): Promise<void> {
    try {
      await this.#registry.replace([row], bytes);
    } catch (error) {
      this.#table.change(row, before);
      throw error;
    }
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #row(channelId: bigint): number {
    return this.#table.find(highHalf(channelId), lowHalf(channelId));
  }

  #expectRow(channelId: bigint): number {
    const row = this.#row(channelId);
    if (row < 0 || this.#table.isRemoved(row)) throw unknown(channelId);
    return row;
  }

  /** The channel that has this row's handle, removed or not, or its ledger id under another handle. */
  #known(rows: Uint8Array, view: DataView, offset: number): Channel | undefined {
    const { channelId } = ROW;
    const byHandle = this.#table.find(
      view.getUint32(offset + channelId + 4, true),
      view.getUint32(offset + channelId, true),
    );
    const isRemoved = byHandle >= 0 && this.#table.isRemoved(byHandle);
    if (byHandle >= 0 && !isRemoved) return this.#table.read(byHandle);
    return this.#knownByLedgerId(rows, view, offset) ?? (isRemoved ? this.#table.read(byHandle) : undefined);
  }

  #knownByLedgerId(rows: Uint8Array, view: DataView, offset: number): Channel | undefined {
    const isDefault = hasDefaultHandle(view, offset);
    if (isDefault && this.#rowsByLedgerId.size === 0) return undefined;
    const byLedgerId = this.#rowsByLedgerId.get(ledgerIdHex(rows, offset));
    if (byLedgerId !== undefined) return this.#table.read(byLedgerId);
    if (isDefault) return undefined;
    const { ledgerChannelId } = rowAt(rows, offset);
    const byDefault = this.get(view.getBigUint64(offset + ROW.ledgerChannelId));
    return byDefault !== undefined && isSame(byDefault.ledgerChannelId, ledgerChannelId) ? byDefault : undefined;
  }

  #full(): ClaimwireError {
    return new ClaimwireError(
      'TABLE_FULL',
      `expected at most ${this.#table.capacity} channels, got one more; restart the node with a larger --channels-max`,
    );
  }
}

/** A removed channel that is opened again, as it will be, and its row. */
interface Revival {
  row: number;
  channel: Channel;
}

/** A channel being removed: its place in the call, and its state before. */
interface Leaving {
  index: number;
  wasOpen: boolean;
}
