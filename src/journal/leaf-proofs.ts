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
  MERKLE_BLOCK_LEAVES,
  MERKLE_FRAME_BYTES_MAX,
  MERKLE_HASH_BYTES,
  MERKLE_LEAF_AMOUNT,
  MERKLE_SIGNATURE,
  MERKLE_TIMESTAMP,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { auditPath, buildTree, type LeafProof, type TreeHash } from '../../protocol/merkle.ts';
import { emptyFrameHead, frameLeafAt, framePathAt, readFrameHead } from '../../protocol/merkle-frame.ts';
import { RootedRows } from '../channel/rooted.ts';
import type { Channel } from '../channel/row.ts';
import { type ChannelTable, highHalf, lowHalf } from '../channel/table.ts';
import { ClaimwireError } from '../errors.ts';
import type { SideChange, SideTables } from '../registry/side-tables.ts';
import { type JournalFiles, withFile } from '../system/files.ts';
import { treeHash } from '../verify/tree-hash.ts';
import { decodeLeaf, encodeLeaf, LEAVES_TABLE } from './leaf-entry.ts';
import { FRAME, FRAME_HEADER_BYTES } from './record.ts';
import { journalFailed, segmentName } from './segment.ts';
import type { StoredLeaf } from './stored-frame.ts';

/** Entries of one commit: 3 MiB. */
const COMMIT_ENTRIES = 4_096;

type Leaf = NonNullable<NonNullable<Channel['rooted']>['leaf']>;
type Place = Leaf['place'];

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
  readonly #head = emptyFrameHead();
  readonly #frame = new Uint8Array(FRAME_HEADER_BYTES + MERKLE_FRAME_BYTES_MAX);
  /** Where the frame in `#frame` lies, and the tree over its leaves. */
  #place: Place | undefined;
  #levels: Uint8Array[] = [];
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

  /** Keeps the proofs of these channels' newest leaves; they are durable when it resolves. Throws JOURNAL_FAILED. */
  async keep(channels: readonly Channel[]): Promise<void> {
    const news = channels.filter(({ rooted }) => (rooted?.leaf?.place.segment ?? 0) > 0);
    // Leaves of one frame one after the other: it is read and hashed once.
    news.sort((left, right) => byPlace(left.rooted!.leaf!.place, right.rooted!.leaf!.place));
    const changes = this.#forgotten.splice(0).map((key): SideChange => ({ table: LEAVES_TABLE, key }));
    for (const channel of news) {
      const value = encodeLeaf(channel.channelId, this.#fromJournal(channel));
      changes.push({ table: LEAVES_TABLE, key: channel.ledgerChannelId, value });
      if (changes.length >= COMMIT_ENTRIES) await this.#options.sides.commit(changes.splice(0));
    }
    if (changes.length > 0) await this.#options.sides.commit(changes);
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
    const kept = this.#options.sides.get(LEAVES_TABLE, channel.ledgerChannelId);
    const proof = kept && decodeLeaf(channel.ledgerChannelId, kept).proof;
    if (proof !== undefined && proof.amount === leaf.amount) return { ...proof, publicKey: channel.publicKey };
    return this.#fromJournal(channel);
  }

  #fromJournal({ publicKey, ledgerChannelId, rooted }: Channel): LeafProof {
    const { place } = rooted!.leaf!;
    if (this.#place === undefined || byPlace(this.#place, place) !== 0) this.#load(place);
    const [head, frame] = [this.#head, this.#frame];
    const at = FRAME_HEADER_BYTES;
    const path = new Uint8Array((this.#levels.length + head.pathLength) * MERKLE_HASH_BYTES);
    const inside = auditPath(this.#levels, head.count, place.leaf, path, 0) * MERKLE_HASH_BYTES;
    const rest = framePathAt(at, head);
    path.set(frame.subarray(rest, rest + head.pathLength * MERKLE_HASH_BYTES), inside);
    const bytesOf = (start: number, length: number) => frame.slice(at + start, at + start + length);
    const view = new DataView(frame.buffer);
    return {
      publicKey,
      ledgerChannelId,
      amount: view.getBigUint64(frameLeafAt(at, place.leaf) + MERKLE_LEAF_AMOUNT),
      sequence: head.sequence,
      timestamp: bytesOf(MERKLE_TIMESTAMP, 8),
      leaves: head.leaves,
      index: head.block * MERKLE_BLOCK_LEAVES + place.leaf,
      path: path.slice(0, inside + head.pathLength * MERKLE_HASH_BYTES),
      signature: bytesOf(MERKLE_SIGNATURE, SIGNATURE_BYTES),
    };
  }

  /** Reads a frame and hashes its leaves. */
  #load(place: Place): void {
    const { data, files, table } = this.#options;
    const frame = this.#frame;
    const path = join(data, 'journal', String(place.lane), segmentName(place.segment));
    this.#place = undefined;
    let isSound = false;
    try {
      withFile(files, path, 'r', (fd) => {
        const read = files.readSync(fd, frame, 0, frame.length, place.offset);
        const length = new DataView(frame.buffer).getUint32(FRAME.length, true);
        const end = FRAME_HEADER_BYTES + length;
        isSound = read >= end && readFrameHead(frame, FRAME_HEADER_BYTES, end, this.#head);
      });
    } catch (error) {
      throw journalFailed('read', path, error);
    }
    if (!isSound || place.leaf >= this.#head.count)
      throw journalFailed('read', path, `something else than a frame at byte ${place.offset}`);
    const { count, sequence } = this.#head;
    const ids = new Uint8Array(count * LEDGER_CHANNEL_ID_BYTES);
    const view = new DataView(frame.buffer);
    for (let leaf = 0; leaf < count; leaf++) {
      const at = frameLeafAt(FRAME_HEADER_BYTES, leaf);
      const row = table.find(view.getUint32(at), view.getUint32(at + 4));
      if (row < 0) throw journalFailed('read', path, `a leaf of channel ${view.getBigUint64(at)}, which is unknown`);
      ids.set(table.ledgerId(row), leaf * LEDGER_CHANNEL_ID_BYTES);
    }
    const hashes = new Uint8Array(count * MERKLE_HASH_BYTES);
    this.#hash.leaves(ids, 0, frame, frameLeafAt(FRAME_HEADER_BYTES, 0), sequence, count, hashes, 0);
    this.#levels = buildTree(hashes, count, this.#hash);
    this.#place = place;
  }
}

function byPlace(left: Place, right: Place): number {
  return left.lane - right.lane || left.segment - right.segment || left.offset - right.offset;
}
