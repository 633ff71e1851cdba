/**
 * The channels of a running node: keeps the table that the claim path reads, and the registry, in step. Main thread.
 *
 * A change is durable in the registry before a claim can be accepted because of it, and known to the committers before it
 * is reported as done. Changes and checkpoints run one at a time, so that none overwrites another with an older row.
 */
import type { ChannelChange, ChannelOpening, OpeningResult, RemovalResult } from '../channel/changes.ts';
import { KeyCheck, upperHex } from '../channel/parse.ts';
import {
  type Channel,
  earlier,
  encodeRow,
  hasDefaultHandle,
  packedRows,
  ROW,
  ROW_BYTES,
  raised,
  STATE_REMOVED,
  stateOf,
  UNUSED,
} from '../channel/row.ts';
import { type ChannelTable, highHalf, lowHalf, type RowChange } from '../channel/table.ts';
import { ClaimwireError } from '../errors.ts';
import { Leases } from './leases.ts';
import { type OpeningPlan, planOpenings, raisesOf, refusalAt } from './openings.ts';
import type { RegistryStore } from './registry-store.ts';
import { ShardRows } from './shard-rows.ts';
import { expectCovers, isSame, ledgerIdHex, rowAt, unknown, unredeemed } from './store-rules.ts';

/** Rows per registry commit of a checkpoint: 1.4 MiB, so that the event loop is never blocked for long. */
const CHECKPOINT_ROWS = 8_192;
/** Rows that a checkpoint looks at before the event loop has its turn: 10 to 30 ms, where few of millions are dirty. */
const CHECKPOINT_LOOKS = 1 << 20;

type BeforeRaise = (
  channel: Pick<Channel, 'channelId' | 'ledgerChannelId'>,
  committed: bigint,
  to: bigint,
) => Promise<void>;

/** What it writes rows to; the LMDB registry by position, a database by the channel's handle. */
export interface RowStore extends Pick<RegistryStore, 'replace'> {
  /**
   * Packed rows of those of these channels that were removed, here or elsewhere, and of which claims may yet be replayed.
   * Left out where a start replays all there is.
   */
  readRemoved?(channelIds: readonly bigint[]): Promise<Uint8Array>;
}

/** Keeps the proofs of leaves beside the rows, where channels have any (journal/leaf-proofs.ts). */
export interface LeafKeeper {
  /** Makes the proofs durable of all newest leaves that only a journal has. */
  keep(): Promise<void>;
  /** Forgets the leaves of rows that other channels will reuse. */
  forget(rows: readonly number[]): void;
}

export class ChannelStore {
  /** Set once, before the first checkpoint. */
  leaves: LeafKeeper | undefined;
  readonly #table: ChannelTable;
  readonly #registry: RowStore;
  readonly #leases: Leases;
  /** Getting shards, and giving them away. */
  readonly shards: ShardRows;
  /** Resolves once every group that was open at the call is committed. */
  readonly #fence: () => Promise<void>;
  /** Rows whose handle is not the default one: only they could make a second channel of one ledger id. */
  readonly #rowsByLedgerId = new Map<string, number>();
  readonly #keys = new KeyCheck();
  /** Rows of channels removed before this start, in order; the next openings reuse them. */
  #free: number[] = [];
  /** Number of rows removed since, which are free only after the next start. */
  #removed = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves once it is recorded that a committed amount is raised without a claim, from one to another. */
  readonly #beforeRaise: BeforeRaise;

  constructor(
    table: ChannelTable,
    registry: RowStore,
    fence: () => Promise<void>,
    beforeRaise: BeforeRaise = async () => {},
  ) {
    this.#table = table;
    this.#beforeRaise = beforeRaise;
    this.#leases = new Leases(table);
    this.#registry = registry;
    this.#fence = fence;
    this.shards = new ShardRows({
      table,
      leases: this.#leases,
      write: (rows, packed) => registry.replace(rows, packed),
      exclusively: (work) => this.#exclusively(work),
      insert: (bytes, view, offset) => this.load(bytes, view, offset, this.#free.shift()),
      forget: (row) => this.#forgetRow(row),
      recall: (row) => this.#recallRow(row),
    });
  }

  get count(): number {
    return this.#table.rows - this.#free.length - this.#removed;
  }

  /** Puts the registry row at `offset` of `bytes` into the table, at its end or in the row `free`. Returns its number. */
  load(bytes: Uint8Array, view: DataView, offset: number, free?: number): number {
    const row = this.#table.insertRow(bytes, view, offset, free);
    if (stateOf(bytes[offset + ROW.state]!) === STATE_REMOVED) return row;
    if (!hasDefaultHandle(view, offset)) this.#rowsByLedgerId.set(ledgerIdHex(bytes, offset), row);
    return row;
  }

  /** Call it once all rows are loaded: a replay may find claims of removed channels. */
  indexRemoved(): void {
    this.#table.indexRemoved();
  }

  /** Makes the rows of removed channels free: at start, when no journal has claims of them any more. */
  freeRemoved(): void {
    this.#free = this.#table.free();
    this.leaves?.forget(this.#free);
  }

  get(channelId: bigint): Channel | undefined {
    const row = this.#row(channelId);
    return row < 0 || this.#table.isRemoved(row) ? undefined : this.#leases.read(row);
  }

  version(channelId: bigint): number | undefined {
    const row = this.#row(channelId);
    return row < 0 || this.#table.isRemoved(row) ? undefined : this.#table.changes(row);
  }

  list(from: number, limit: number): Channel[] {
    const end = Math.min(this.#table.rows, from + limit);
    const result: Channel[] = [];
    for (let row = from; row < end; row++) result.push(this.#leases.read(row));
    return result;
  }

  async open(openings: readonly ChannelOpening[]): Promise<OpeningResult> {
    const rows = new Uint8Array(openings.length * ROW_BYTES);
    const refused: OpeningResult['refused'] = [];
    const sound: number[] = [];
    for (const [index, opening] of openings.entries()) {
      try {
        this.#keys.check(upperHex(opening.publicKey), 'publicKey');
        const { committed = 0n } = opening;
        encodeRow({ ...opening, ...UNUSED, committed }, rows, (sound.push(index) - 1) * ROW_BYTES);
      } catch (error) {
        if (!(error instanceof ClaimwireError)) throw error;
        refused.push(refusalAt(index, error));
      }
    }
    const result = await this.openRows(rows.subarray(0, sound.length * ROW_BYTES));
    for (const refusal of result.refused) refused.push({ ...refusal, index: sound[refusal.index]! });
    return { ...result, refused: refused.sort((left, right) => left.index - right.index) };
  }

  /**
   * Opens channels given as packed rows, whose keys are checked already. A bulk import calls this, so it makes few objects
   * per row.
   */
  openRows(rows: Uint8Array): Promise<OpeningResult> {
    return this.#exclusively(async () => {
      const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
      const plan = planOpenings(rows, view, {
        known: (...row) => this.#known(...row),
        removedElsewhere: await this.#removedElsewhere(rows, view),
        refusal: (channelId) => this.shards.refusal(channelId),
        room: this.#table.capacity - this.#table.rows + this.#free.length,
        capacity: this.#table.capacity,
      });
      await this.#write(plan);
      const { fresh, revived, unchanged, refused } = plan;
      return { opened: fresh.length / ROW_BYTES + revived.length, unchanged, refused };
    });
  }

  /** Channels of this call that are not in the table, and were removed by an earlier run or at another node. */
  async #removedElsewhere(rows: Uint8Array, view: DataView): Promise<ReadonlyMap<bigint, Channel>> {
    const removed = new Map<bigint, Channel>();
    if (this.#registry.readRemoved === undefined) return removed;
    const unknown = new Set<bigint>();
    for (let offset: number = ROW.channelId; offset < rows.length; offset += ROW_BYTES) {
      const channelId = view.getBigUint64(offset, true);
      if (this.#row(channelId) < 0) unknown.add(channelId);
    }
    if (unknown.size === 0) return removed;
    const packed = await this.#registry.readRemoved([...unknown]);
    for (let offset = 0; offset < packed.length; offset += ROW_BYTES) {
      const channel = rowAt(packed, offset);
      removed.set(channel.channelId, channel);
    }
    return removed;
  }

  /** Makes new channels, and removed ones that are opened again, durable in one commit, and then visible to the claim path. */
  async #write(plan: OpeningPlan): Promise<void> {
    const { fresh } = plan;
    for (const { channel, before } of raisesOf(plan)) await this.#beforeRaise(channel, before, channel.committed);
    const revived = plan.revived.map(({ channel }) => ({ channel, row: this.#row(channel.channelId) }));
    const count = fresh.length / ROW_BYTES;
    const free = this.#free.slice(0, count);
    const back = packedRows(revived.map(({ channel }) => channel));
    await this.#registry.replace([...revived.map(({ row }) => row), ...free], Buffer.concat([back, fresh]));
    this.#free = this.#free.slice(count);
    const view = new DataView(fresh.buffer);
    for (let index = 0; index < count; index++) this.load(fresh, view, index * ROW_BYTES, free[index]);
    for (const { row, channel } of revived) this.#revive(row, channel);
  }

  #revive(row: number, channel: Channel): void {
    this.#table.raise(row, channel.committed);
    const { capacity, expiresAt, throwAway = false } = channel;
    this.#leases.change(row, { capacity, expiresAt, throwAway, removed: false, open: true });
    this.#recallRow(row);
  }

  #recallRow(row: number): void {
    this.#removed -= 1;
    const bytes = packedRows([this.#leases.read(row)]);
    if (!hasDefaultHandle(new DataView(bytes.buffer), 0)) this.#rowsByLedgerId.set(ledgerIdHex(bytes, 0), row);
  }

  update(channelId: bigint, change: ChannelChange): Promise<Channel> {
    return this.#exclusively(async () => {
      const row = this.#expectRow(channelId);
      const before = this.#leases.read(row);
      if (before.state !== 'open')
        throw new ClaimwireError('CHANNEL_CLOSED', `channel ${channelId}: expected an open channel, got a closed one`);
      const { capacity = before.capacity, expiresAt = before.expiresAt } = change;
      expectCovers(capacity, before);
      const old = { capacity: before.capacity, expiresAt: before.expiresAt };
      const isLower = capacity < old.capacity;
      const narrow = {
        capacity: isLower ? capacity : old.capacity,
        expiresAt: earlier(expiresAt, old.expiresAt),
      };
      if (narrow.capacity !== old.capacity || narrow.expiresAt !== old.expiresAt) {
        // A restriction is in force first. A group that was open meanwhile may have passed the new capacity.
        this.#leases.change(row, narrow);
        await this.#fence();
        const { committed } = this.#leases.read(row);
        if (committed > capacity) {
          this.#leases.change(row, old);
          expectCovers(capacity, { ...before, committed });
        }
      }
      // An extension is durable first, so that no claim is accepted because of a change that a crash could undo.
      await this.#replaceOr(row, { ...this.#leases.read(row), capacity, expiresAt }, old);
      this.#leases.change(row, { capacity, expiresAt });
      return this.#leases.read(row);
    });
  }

  close(channelId: bigint): Promise<Channel> {
    return this.#exclusively(async () => {
      const row = this.#expectRow(channelId);
      const wasOpen = this.#leases.read(row).state === 'open';
      this.#leases.change(row, { open: false });
      await this.#fence();
      const channel = this.#leases.read(row);
      await this.#replaceOr(row, channel, { open: wasOpen });
      return channel;
    });
  }

  /**
   * Refuses a channel's claims from `until` on, Unix seconds; 0 takes that back. In force when it returns, never stored. Also of a
   * channel whose shard is loaded and not served yet, so that none of its claims is accepted before.
   */
  lease(channelId: bigint, until: number): void {
    const row = this.#row(channelId);
    if (row < 0 || this.#table.isRemoved(row)) throw unknown(channelId);
    this.#leases.set(row, until);
  }

  /**
   * Raises a channel's committed amount to what was paid for a claim that this node never had, so it has no signature then.
   * Durable before it is in force, since a claim of no more is answered ALREADY from then on, which says that so much is durable.
   * Until then such claims are committed, and none can be spent: what they pay is recorded as raised first. Changes nothing where
   * as much is committed.
   */
  raise(channelId: bigint, committed: bigint): Promise<Channel> {
    return this.#exclusively(async () => {
      const row = this.#expectRow(channelId);
      const before = this.#leases.read(row);
      if (committed > before.committed) await this.#beforeRaise(before, before.committed, committed);
      const now = this.#leases.read(row);
      if (committed > now.committed) {
        await this.#registry.replace([row], packedRows([raised(now, committed)]));
        this.#table.raise(row, committed);
      }
      return this.#leases.read(row);
    });
  }

  /**
   * Removes channels: closes them, waits for one fence, and marks them removed in the registry in one commit. A kill before
   * that commit leaves them as they were; after it, a replay still finds their rows, and their claims are then dropped.
   */
  remove(channelIds: readonly bigint[], force: boolean): Promise<RemovalResult> {
    return this.#exclusively(async () => {
      const refused: RemovalResult['refused'] = [];
      const leaving = new Map<number, Leaving>();
      for (const [index, channelId] of channelIds.entries()) {
        const channel = this.get(channelId);
        const refusal =
          this.shards.refusal(channelId) ?? (channel === undefined ? unknown(channelId) : unredeemed(channel, force));
        if (refusal !== undefined) refused.push(refusalAt(index, refusal));
        else leaving.set(this.#row(channelId), { index, wasOpen: channel!.state === 'open' });
      }
      try {
        for (const row of leaving.keys()) this.#leases.change(row, { open: false });
        if (leaving.size > 0) await this.#fence();
        // A group that was open meanwhile may have committed a channel's first amount.
        for (const [row, { index, wasOpen }] of leaving) {
          const refusal = unredeemed(this.#leases.read(row), force);
          if (refusal === undefined) continue;
          refused.push(refusalAt(index, refusal));
          this.#leases.change(row, { open: wasOpen });
          leaving.delete(row);
        }
        const rows = [...leaving.keys()];
        const gone = rows.map((row): Channel => ({ ...this.#leases.read(row), state: 'removed' }));
        await this.#registry.replace(rows, packedRows(gone));
      } catch (error) {
        for (const [row, { wasOpen }] of leaving) this.#leases.change(row, { open: wasOpen });
        throw error;
      }
      for (const row of leaving.keys()) this.#forget(row);
      refused.sort((left, right) => left.index - right.index);
      return { removed: leaving.size, refused };
    });
  }

  #forget(row: number): void {
    this.#leases.change(row, { removed: true });
    this.#leases.drop(row);
    this.#forgetRow(row);
  }

  #forgetRow(row: number): void {
    this.#removed += 1;
    const ledgerId = upperHex(this.#table.ledgerId(row));
    if (this.#rowsByLedgerId.get(ledgerId) === row) this.#rowsByLedgerId.delete(ledgerId);
  }

  /** Writes every row that changed since its last write; they are durable when it resolves. Returns their number. */
  async checkpoint(): Promise<number> {
    const buffer = new Uint8Array(CHECKPOINT_ROWS * ROW_BYTES);
    const rows: number[] = [];
    let written = 0;
    let row = 0;
    // Before the rows: a row says that its channel has leaves.
    await this.leaves?.keep();
    while (row < this.#table.rows) {
      written += await this.#exclusively(async () => {
        rows.length = 0;
        const end = Math.min(this.#table.rows, row + CHECKPOINT_LOOKS);
        for (; row < end && rows.length < CHECKPOINT_ROWS; row++) {
          if (!this.#table.takeDirty(row)) continue;
          encodeRow(this.#leases.read(row), buffer, (rows.push(row) - 1) * ROW_BYTES);
        }
        try {
          await this.#registry.replace(rows, buffer.subarray(0, rows.length * ROW_BYTES));
        } catch (error) {
          // If a later checkpoint skipped these rows, it would remove the journal segments that hold their claims.
          for (const dirty of rows) this.#table.markDirty(dirty);
          throw error;
        }
        return rows.length;
      });
      if (row < this.#table.rows) await new Promise((resolve) => setImmediate(resolve));
    }
    return written;
  }

  /** Makes a row durable. If the registry fails, undoes the change in the table, since the caller is told of the failure. */
  async #replaceOr(row: number, channel: Channel, before: RowChange): Promise<void> {
    try {
      await this.#registry.replace([row], packedRows([channel]));
    } catch (error) {
      this.#leases.change(row, before);
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
    const moved = this.shards.refusal(channelId);
    if (moved !== undefined) throw moved;
    const row = this.#row(channelId);
    if (row < 0 || this.#table.isRemoved(row)) throw unknown(channelId);
    return row;
  }

  /** The channel that has this row's handle, removed or not, or its ledger id under another handle. */
  #known(rows: Uint8Array, view: DataView, offset: number): Channel | undefined {
    const byHandle = this.#row(view.getBigUint64(offset + ROW.channelId, true));
    const isRemoved = byHandle >= 0 && this.#table.isRemoved(byHandle);
    if (byHandle >= 0 && !isRemoved) return this.#leases.read(byHandle);
    return this.#knownByLedgerId(rows, view, offset) ?? (isRemoved ? this.#leases.read(byHandle) : undefined);
  }

  #knownByLedgerId(rows: Uint8Array, view: DataView, offset: number): Channel | undefined {
    const isDefault = hasDefaultHandle(view, offset);
    if (isDefault && this.#rowsByLedgerId.size === 0) return undefined;
    const byLedgerId = this.#rowsByLedgerId.get(ledgerIdHex(rows, offset));
    if (byLedgerId !== undefined) return this.#leases.read(byLedgerId);
    if (isDefault) return undefined;
    const { ledgerChannelId } = rowAt(rows, offset);
    const byDefault = this.get(view.getBigUint64(offset + ROW.ledgerChannelId));
    return byDefault !== undefined && isSame(byDefault.ledgerChannelId, ledgerChannelId) ? byDefault : undefined;
  }
}

/** A channel being removed: its index in the call, and whether it was open. */
interface Leaving {
  index: number;
  wasOpen: boolean;
}
