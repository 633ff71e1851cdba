/**
 * The proofs of leaves: what shows to anybody that a payer has promised an amount by a leaf of a signed root. Main thread.
 *
 * Until a checkpoint the proof is the frame in a lane's journal, of which the channel's row knows the place (channel/rooted.ts). A checkpoint
 * writes the leaf with its whole path, from the leaf to the root, to a side table, before it writes the row, and before any segment
 * goes. So each leaf that was acknowledged is in one of the two, also after a kill between them.
 *
 * The memory for leaves is made when the node takes roots, or when a folder turns out to have leaves: a node without has none.
 */
import { join } from 'node:path';
import {
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  CLAIM_SEQUENCE,
  CLAIM_TIMESTAMP,
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_FRAME_BYTES_MAX,
  MERKLE_HASH_BYTES,
} from '../../protocol/layout.ts';
import { buildTree, type LeafProof, type TreeHash } from '../../protocol/merkle.ts';
import { emptyFrameHead, frameLeafAt, readFrameHead } from '../../protocol/merkle-frame.ts';
import { RootedRows } from '../channel/rooted.ts';
import type { Channel, LeafPlace } from '../channel/row.ts';
import { type ChannelTable, highHalf, lowHalf } from '../channel/table.ts';
import { ClaimwireError } from '../errors.ts';
import type { SideChange, SideTables } from '../registry/side-tables.ts';
import { type JournalFiles, withFile } from '../system/files.ts';
import { treeHash } from '../verify/tree-hash.ts';
import { decodeLeaf, LEAF_ENTRY_BYTES_MAX, LEAVES_TABLE, type LeafFrame, writeLeaf } from './leaf-entry.ts';
import { FRAME, FRAME_HEADER_BYTES } from './record.ts';
import { journalFailed, segmentName } from './segment.ts';
import type { StoredLeaf } from './stored-frame.ts';

/**
 * Entries of one commit: 20 MiB at most. Ledger channel ids come in no order, so a commit of thousands writes nearly every page of the table:
 * many small ones would write it as often.
 */
const COMMIT_ENTRIES = 32_768;
/** Entries made before the event loop has its turn: some milliseconds. */
const TURN_ENTRIES = 1_024;
/** Rows that are looked at before it has. */
const TURN_ROWS = 1 << 20;

type Leaf = NonNullable<NonNullable<Channel['rooted']>['leaf']>;

export interface LeafProofsOptions {
  table: ChannelTable;
  sides: SideTables;
  files: JournalFiles;
  data: string;
  /** Drops, see RootedRows. */
  exposureMax: number;
}

export class LeafProofs {
  readonly #options: LeafProofsOptions;
  readonly #hash: TreeHash = treeHash();
  readonly #record = new DataView(new ArrayBuffer(CLAIM_BYTES));
  readonly #bytes = Buffer.from(new ArrayBuffer(FRAME_HEADER_BYTES + MERKLE_FRAME_BYTES_MAX));
  /** The frame that was read last: what it says, where it lies, and the ledger channel ids of its leaves. */
  readonly #frame: LeafFrame = { bytes: this.#bytes, at: FRAME_HEADER_BYTES, head: emptyFrameHead(), levels: [] };
  #place: LeafPlace | undefined;
  #ids = new Uint8Array(0);
  #rows: RootedRows | undefined;
  /** Ledger channel ids whose entries go with the next commit. */
  readonly #forgotten: Uint8Array[] = [];

  constructor(options: LeafProofsOptions) {
    this.#options = options;
  }

  /** What is kept of leaves; undefined while there has been none. */
  get rows(): RootedRows | undefined {
    return this.#rows;
  }
  /** The same, made where there is none yet. Before other threads run. */
  makeRows(): RootedRows {
    this.#rows ??= new RootedRows(this.#options.table, this.#options.exposureMax);
    return this.#rows;
  }

  /** Puts the leaves of the last checkpoint into the rows, which are loaded. */
  load(): void {
    const { table, sides } = this.#options;
    for (const [id, value] of sides.entries(LEAVES_TABLE)) {
      const { channelId, proof } = decodeLeaf(id, value);
      const row = table.find(highHalf(channelId), lowHalf(channelId));
      if (row < 0 || Buffer.compare(table.ledgerId(row), id) !== 0) this.#forgotten.push(id);
      else {
        const timestampBits = Buffer.from(proof.timestamp).readBigUInt64BE();
        const place = { lane: 0, segment: 0, offset: 0, leaf: 0 };
        this.#commit(row, { ...proof, timestampBits, place });
        // The registry has it.
        table.takeDirty(row);
      }
    }
  }

  /** Commits a leaf that a journal has, once the channels are loaded. Throws REGISTRY_CORRUPT where its channel is unknown. */
  replay(lane: number, segment: number, leaf: StoredLeaf): void {
    const { channelId, fileOffset } = leaf;
    const row = this.#options.table.find(highHalf(channelId), lowHalf(channelId));
    if (row < 0)
      throw new ClaimwireError(
        'REGISTRY_CORRUPT',
        `registry: expected channel ${channelId}, which the journal has leaves of, got none; restore the registry that belongs to this journal`,
      );
    this.#commit(row, { ...leaf, place: { lane, segment, offset: fileOffset, leaf: leaf.leaf } });
  }

  #commit(row: number, { amount, sequence, timestampBits, place }: Leaf): void {
    const record = this.#record;
    record.setBigUint64(CLAIM_AMOUNT, amount);
    record.setUint32(CLAIM_SEQUENCE, sequence);
    record.setBigUint64(CLAIM_TIMESTAMP, timestampBits);
    const rows = this.makeRows();
    rows.mark(row);
    rows.commitLeaf(row, record, 0, place.lane, place.segment, place.offset, place.leaf);
  }

  /**
   * Keeps the proofs of all newest leaves that only a journal has; they are durable when it resolves, and those of groups that are applied meanwhile
   * may be left for the next call. Throws JOURNAL_FAILED.
   */
  async keep(): Promise<void> {
    const { table, sides } = this.#options;
    let row = 0;
    do {
      const news: News[] = [];
      for (; row < table.rows && news.length < COMMIT_ENTRIES; row++) {
        const place = table.isRooted(row) ? this.#rows?.unkept(row) : undefined;
        if (place !== undefined) news.push({ row, place });
        if (row % TURN_ROWS === TURN_ROWS - 1) await nextTurn();
      }
      const changes = this.#forgotten.splice(0).map((key): SideChange => ({ table: LEAVES_TABLE, key }));
      await this.#entriesOf(news, changes);
      if (changes.length > 0) await sides.commit(changes);
      for (const { row, place } of news) this.#rows!.kept(row, place);
    } while (row < table.rows);
  }

  async #entriesOf(news: News[], changes: SideChange[]): Promise<void> {
    // Leaves of one frame one after the other: it is read and hashed once.
    news.sort((left, right) => byPlace(left.place, right.place));
    const entries = Buffer.allocUnsafe(news.length * LEAF_ENTRY_BYTES_MAX);
    let at = 0;
    for (const [index, { place }] of news.entries()) {
      const start = at;
      at += this.#write(place, entries, at);
      const id = place.leaf * LEDGER_CHANNEL_ID_BYTES;
      const key = this.#ids.subarray(id, id + LEDGER_CHANNEL_ID_BYTES);
      changes.push({ table: LEAVES_TABLE, key, value: entries.subarray(start, at) });
      if (index % TURN_ENTRIES === TURN_ENTRIES - 1) await nextTurn();
    }
  }

  /** Forgets the leaves of rows that other channels will reuse. Before other threads run. */
  forget(rows: readonly number[]): void {
    for (const row of rows) {
      if (!this.#options.table.isRooted(row)) continue;
      this.#forgotten.push(this.#options.table.ledgerId(row));
      this.#rows?.clear(row);
    }
  }

  /** The proof of a channel's newest leaf, or undefined where it has none. Throws JOURNAL_FAILED. */
  of(channel: Channel): LeafProof | undefined {
    const leaf = channel.rooted?.leaf;
    if (leaf === undefined) return undefined;
    const { publicKey, ledgerChannelId } = channel;
    const kept = this.#options.sides.get(LEAVES_TABLE, ledgerChannelId);
    const proof = kept && decodeLeaf(ledgerChannelId, kept).proof;
    if (proof !== undefined && proof.amount === leaf.amount) return { ...proof, publicKey };
    const entry = Buffer.alloc(LEAF_ENTRY_BYTES_MAX);
    const length = this.#write(leaf.place, entry, 0);
    return { ...decodeLeaf(ledgerChannelId, entry.subarray(0, length)).proof, publicKey };
  }

  /** Writes the entry of the leaf at this place; returns its bytes. */
  #write(place: LeafPlace, out: Buffer, at: number): number {
    if (this.#place === undefined || byPlace(this.#place, place) !== 0) this.#load(place);
    return writeLeaf(this.#frame, place.leaf, out, at);
  }

  /** Reads a frame and hashes its leaves. */
  #load(place: LeafPlace): void {
    const { data, files, table } = this.#options;
    const bytes = this.#bytes;
    const { head, at } = this.#frame;
    const path = join(data, 'journal', String(place.lane), segmentName(place.segment));
    this.#place = undefined;
    let isSound = false;
    try {
      withFile(files, path, 'r', (fd) => {
        const read = files.readSync(fd, bytes, 0, bytes.length, place.offset);
        const end = at + new DataView(bytes.buffer).getUint32(FRAME.length, true);
        isSound = read >= end && readFrameHead(bytes, at, end, head);
      });
    } catch (error) {
      throw journalFailed('read', path, error);
    }
    if (!isSound || place.leaf >= head.count)
      throw journalFailed('read', path, `something else than a frame at byte ${place.offset}`);
    const { count, sequence } = head;
    const ids = new Uint8Array(count * LEDGER_CHANNEL_ID_BYTES);
    const view = new DataView(bytes.buffer);
    for (let leaf = 0; leaf < count; leaf++) {
      const wire = frameLeafAt(at, leaf);
      const row = table.find(view.getUint32(wire), view.getUint32(wire + 4));
      if (row < 0) throw journalFailed('read', path, `a leaf of channel ${view.getBigUint64(wire)}, which is unknown`);
      ids.set(table.ledgerId(row), leaf * LEDGER_CHANNEL_ID_BYTES);
    }
    const hashes = new Uint8Array(count * MERKLE_HASH_BYTES);
    this.#hash.leaves(ids, 0, bytes, frameLeafAt(at, 0), sequence, count, hashes, 0);
    this.#frame.levels = buildTree(hashes, count, this.#hash);
    this.#ids = ids;
    this.#place = place;
  }
}

/** A leaf whose proof is to be kept. */
interface News {
  row: number;
  place: LeafPlace;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function byPlace(left: LeafPlace, right: LeafPlace): number {
  return left.lane - right.lane || left.segment - right.segment || left.offset - right.offset;
}
