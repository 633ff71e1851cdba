/**
 * The channels of shards that a node gets and gives away while it runs. Main thread; the channel store (channel-store.ts) has it,
 * and its changes and these never overlap.
 *
 * A row stays with its handle for as long as the process runs: claims in flight name rows by number, so a row that was given to
 * another channel might be paid by a claim of the one before. A shard that comes back finds its rows again; one that does not
 * leaves them behind, which the table's capacity has to allow for.
 */
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_SEQUENCE, CLAIM_SIGNATURE, CLAIM_TIMESTAMP } from '../../protocol/layout.ts';
import { shardOf, shardOfChannel } from '../../protocol/shard.ts';
import { type Channel, decodeRow, hasClaim, packedRows, ROW_BYTES } from '../channel/row.ts';
import { type ChannelTable, HOT_ID_HIGH, HOT_ID_LOW, highHalf, lowHalf } from '../channel/table.ts';
import { ClaimwireError } from '../errors.ts';
import type { Leases } from './leases.ts';
import { isSame } from './store-rules.ts';

/** Rows of one write: 1.4 MiB. */
const WRITE_ROWS = 8_192;

interface ShardRowsParts {
  table: ChannelTable;
  leases: Leases;
  /** Writes rows durably. */
  write: (rows: readonly number[], packed: Uint8Array) => Promise<void>;
  /** Runs work when no change of a channel is under way. */
  exclusively: <T>(work: () => Promise<T>) => Promise<T>;
  /** Puts a new row into the table, and takes note of it. Throws TABLE_FULL. @returns its number */
  insert: (bytes: Uint8Array, view: DataView, offset: number) => number;
  /** Takes note of a row that is found no more, and of one that is found again. */
  forget: (row: number) => void;
  recall: (row: number) => void;
}

export class ShardRows {
  readonly #parts: ShardRowsParts;
  /** Shards that are served here; undefined where all are. */
  #served: Set<number> | undefined;

  constructor(parts: ShardRowsParts) {
    this.#parts = parts;
  }

  /** From now on only these shards are served here: for a node of a cluster, before it receives. */
  only(shards: readonly number[]): void {
    this.#served = new Set(shards);
  }

  /** MOVED for a channel whose shard is not served here. */
  refusal(channelId: bigint): ClaimwireError | undefined {
    if (this.#served?.has(shardOfChannel(channelId)) ?? true) return undefined;
    return new ClaimwireError(
      'MOVED',
      `channel ${channelId}: expected one of this node's shards, got shard ${shardOfChannel(channelId)}; ask for the route`,
    );
  }

  /** Loads packed rows of channels, closed to claims until their shards are served. Rows that are loaded already are set anew. */
  load(packed: Uint8Array): void {
    const { table, leases, insert, recall } = this.#parts;
    for (let offset = 0; offset < packed.length; offset += ROW_BYTES) {
      const bytes = packed.slice(offset, offset + ROW_BYTES);
      const channel = decodeRow(bytes);
      const known = table.find(highHalf(channel.channelId), lowHalf(channel.channelId));
      if (known < 0) {
        const closed = packedRows([{ ...channel, state: 'closed' }]);
        const row = insert(closed, new DataView(closed.buffer), 0);
        if (channel.state === 'open') leases.suspend(row);
        continue;
      }
      expectSameChannel(channel, leases.read(known));
      if (table.isRemoved(known)) recall(known);
      restore(table, known, channel);
      const { capacity, expiresAt, throwAway = false } = channel;
      leases.change(known, { capacity, expiresAt, throwAway, removed: false, open: false });
      if (channel.state === 'open') leases.suspend(known);
    }
  }

  /** Writes the rows of these shards that have changed since their last write. */
  async write(shards: readonly number[]): Promise<void> {
    const { table, leases, write, exclusively } = this.#parts;
    const rows = this.#rowsOf(shards);
    for (let start = 0; start < rows.length; start += WRITE_ROWS)
      await exclusively(async () => {
        const dirty = rows.slice(start, start + WRITE_ROWS).filter((row) => table.takeDirty(row));
        if (dirty.length === 0) return;
        try {
          await write(dirty, packedRows(dirty.map((row) => leases.read(row))));
        } catch (error) {
          for (const row of dirty) table.markDirty(row);
          throw error;
        }
      });
  }

  /** Opens the channels of these shards to claims. */
  serve(shards: readonly number[]): void {
    for (const shard of shards) this.#served?.add(shard);
    for (const row of this.#rowsOf(shards)) this.#parts.leases.resume(row);
  }

  /** Closes the channels of these shards to claims and changes. Resolves when it is done, and no change of them is under way. */
  async drain(shards: readonly number[]): Promise<void> {
    for (const shard of shards) this.#served?.delete(shard);
    const { leases, exclusively } = this.#parts;
    await exclusively(async () => {
      for (const row of this.#rowsOf(shards)) if (leases.read(row).state === 'open') leases.suspend(row);
    });
  }

  /** Forgets the channels of shards that were drained. */
  drop(shards: readonly number[]): void {
    const { table, leases, forget } = this.#parts;
    for (const row of this.#rowsOf(shards)) {
      leases.drop(row);
      leases.change(row, { open: false, removed: true });
      table.takeDirty(row);
      forget(row);
    }
  }

  /** Rows of channels, removed ones left out. Every row is looked at: some milliseconds for a million. */
  #rowsOf(shards: readonly number[]): number[] {
    const { table } = this.#parts;
    const wanted = new Set(shards);
    const rows: number[] = [];
    for (let row = 0; row < table.rows; row++) {
      const hot = table.hot(row);
      const shard = shardOf(table.words[hot + HOT_ID_HIGH]!, table.words[hot + HOT_ID_LOW]!);
      if (wanted.has(shard) && !table.isRemoved(row)) rows.push(row);
    }
    return rows;
  }
}

/** A shard that comes back has what was committed elsewhere meanwhile, which is as much at least. */
function restore(table: ChannelTable, row: number, channel: Channel): void {
  if (!hasClaim(channel)) {
    table.raise(row, channel.committed);
    return;
  }
  const record = new DataView(new ArrayBuffer(CLAIM_BYTES));
  record.setBigUint64(CLAIM_AMOUNT, channel.committed);
  record.setUint32(CLAIM_SEQUENCE, channel.sequence);
  record.setBigUint64(CLAIM_TIMESTAMP, channel.timestampBits);
  new Uint8Array(record.buffer).set(channel.signature, CLAIM_SIGNATURE);
  table.commit(row, record, 0);
  // It is as the database has it.
  table.takeDirty(row);
}

function expectSameChannel(loaded: Channel, known: Channel): void {
  const same = isSame(loaded.ledgerChannelId, known.ledgerChannelId) && isSame(loaded.publicKey, known.publicKey);
  if (!same || loaded.profile !== known.profile)
    throw new ClaimwireError(
      'STORE_FAILED',
      `channel ${loaded.channelId}: expected the channel that this node had under that handle before, got another one; start the node again`,
    );
}
