/**
 * The channels of a running node: the table the claim path reads and the registry behind it, kept in step. Main thread.
 *
 * Every change is durable in the registry before it may let a claim through, and known to the committers before it is
 * reported as done. Changes run one at a time, checkpoints among them, so none overwrites another with an older row.
 */
import type { ChannelChange, ChannelOpening, OpeningResult } from '../control.ts';
import { ClaimwireError } from '../errors.ts';
import { KeyCheck, upperHex } from './parse.ts';
import type { Registry } from './registry.ts';
import { type Channel, decodeRow, encodeRow, ROW, ROW_BYTES } from './row.ts';
import { type ChannelTable, highHalf, lowHalf } from './table.ts';

/** Rows per registry commit while checkpointing: 1.4 MiB, so that the event loop is never held for long. */
const CHECKPOINT_ROWS = 8_192;

export class ChannelStore {
  readonly #table: ChannelTable;
  readonly #registry: Registry;
  /** Resolves once no group is open that began before the call. */
  readonly #fence: () => Promise<void>;
  /** Rows whose handle is not the start of their ledger id: the only way one ledger channel could be opened twice. */
  readonly #rowsByLedgerId = new Map<string, number>();
  readonly #keys = new KeyCheck();
  #last: Promise<unknown> = Promise.resolve();

  constructor(table: ChannelTable, registry: Registry, fence: () => Promise<void>) {
    this.#table = table;
    this.#registry = registry;
    this.#fence = fence;
  }

  get count(): number {
    return this.#table.rows;
  }

  /** Puts the stored row at `offset` of `bytes` into the table, at start. */
  load(bytes: Uint8Array, view: DataView, offset: number): void {
    const row = this.#table.insertRow(bytes, view, offset);
    if (!hasDefaultHandle(view, offset)) this.#rowsByLedgerId.set(ledgerIdHex(bytes, offset), row);
  }

  get(channelId: bigint): Channel | undefined {
    const row = this.#row(channelId);
    return row < 0 ? undefined : this.#table.read(row);
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
      for (let offset = 0; offset < rows.length; offset += ROW_BYTES) {
        const channelId = view.getBigUint64(offset + ROW.channelId, true);
        const twin = offsets.get(channelId) ?? batch.offsetOf(offset);
        const known = twin === undefined ? this.#known(rows, view, offset) : rowAt(rows, twin);
        if (known === undefined && this.count + offsets.size < this.#table.capacity) {
          fresh.set(rows.subarray(offset, offset + ROW_BYTES), offsets.size * ROW_BYTES);
          offsets.set(channelId, offset);
          batch.add(offset);
          continue;
        }
        const refusal = known === undefined ? this.#full() : difference(known, rowAt(rows, offset));
        if (refusal === undefined) result.unchanged++;
        else result.refused.push({ index: offset / ROW_BYTES, code: refusal.code, message: refusal.message });
      }
      result.opened = offsets.size;
      const freshRows = fresh.subarray(0, offsets.size * ROW_BYTES);
      await this.#registry.append(freshRows);
      const freshView = new DataView(freshRows.buffer);
      for (let offset = 0; offset < freshRows.length; offset += ROW_BYTES) this.load(freshRows, freshView, offset);
      return result;
    });
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
    if (row < 0)
      throw new ClaimwireError('CHANNEL_UNKNOWN', `channel ${channelId}: expected an open channel, got none`);
    return row;
  }

  /** The channel that has this row's handle, or its ledger id under another handle. */
  #known(rows: Uint8Array, view: DataView, offset: number): Channel | undefined {
    const { channelId } = ROW;
    const byHandle = this.#table.find(
      view.getUint32(offset + channelId + 4, true),
      view.getUint32(offset + channelId, true),
    );
    if (byHandle >= 0) return this.#table.read(byHandle);
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

/** Ledger ids opened earlier in the same call; kept only where a handle of it is not its ledger id's own. */
class FreshLedgerIds {
  readonly #rows: Uint8Array;
  readonly #offsets: Map<string, number> | undefined;

  constructor(rows: Uint8Array, view: DataView) {
    this.#rows = rows;
    for (let offset = 0; offset < rows.length && this.#offsets === undefined; offset += ROW_BYTES)
      if (!hasDefaultHandle(view, offset)) this.#offsets = new Map();
  }
  offsetOf(offset: number): number | undefined {
    return this.#offsets?.get(ledgerIdHex(this.#rows, offset));
  }
  add(offset: number): void {
    this.#offsets?.set(ledgerIdHex(this.#rows, offset), offset);
  }
}

/** What every channel begins with. */
const UNUSED = {
  committed: 0n,
  sequence: 0,
  timestampBits: 0n,
  signature: new Uint8Array(64),
  state: 'open',
} as const;

/** Whether a row's handle is the first 8 bytes of its ledger id, as it is unless an operator chose one. */
function hasDefaultHandle(view: DataView, offset: number): boolean {
  return (
    view.getUint32(offset + ROW.channelId, true) === view.getUint32(offset + ROW.ledgerChannelId + 4) &&
    view.getUint32(offset + ROW.channelId + 4, true) === view.getUint32(offset + ROW.ledgerChannelId)
  );
}

function ledgerIdHex(bytes: Uint8Array, offset: number): string {
  const start = offset + ROW.ledgerChannelId;
  return hex(bytes.subarray(start, start + 32));
}

function rowAt(bytes: Uint8Array, offset: number): Channel {
  return decodeRow(bytes.subarray(offset, offset + ROW_BYTES));
}

/** A channel as its registry row. */
function packed(channel: Channel): Uint8Array {
  const row = new Uint8Array(ROW_BYTES);
  encodeRow(channel, row);
  return row;
}

/** Why `channel` can't be opened beside `known`, which has its handle or its ledger id; undefined when it is the same. */
function difference(known: Channel, channel: Channel): ClaimwireError | undefined {
  const refusal = (message: string) => new ClaimwireError('CHANNEL_EXISTS', `channel ${channel.channelId}: ${message}`);
  if (!isSame(known.ledgerChannelId, channel.ledgerChannelId))
    return refusal(
      `expected a free handle, got one that ledger channel ${hex(known.ledgerChannelId)} has; choose another with --channel`,
    );
  if (known.channelId !== channel.channelId)
    return refusal(`expected a new ledger channel, got one that is open as channel ${known.channelId}`);
  const isUnchanged =
    known.state === 'open' &&
    isSame(known.publicKey, channel.publicKey) &&
    known.profile === channel.profile &&
    known.capacity === channel.capacity &&
    known.expiresAt === channel.expiresAt;
  if (isUnchanged) return undefined;
  return refusal(`expected a new channel, got one that is ${known.state} with other parameters; use channel update`);
}

function lower(left: bigint, right: bigint): bigint {
  if (left < right) return left;
  return right;
}

function expectCovers(capacity: bigint, channel: Channel): void {
  if (capacity < channel.committed)
    throw new ClaimwireError(
      'CAPACITY_BELOW_COMMITTED',
      `channel ${channel.channelId}: expected a capacity of at least the ${channel.committed} drops committed, got ${capacity}`,
    );
}

/** The earlier of two expiries; 0 is never. */
function earlier(left: number, right: number): number {
  if (left === 0 || right === 0) return Math.max(left, right);
  return Math.min(left, right);
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').toUpperCase();
}
