/** A root over the leaves of a wave, or of a part of it: its tree, and when each of its frames left. Payer's thread. */
import {
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_BLOCK_LEAVES,
  MERKLE_HASH_BYTES,
  MERKLE_LEAF_AMOUNT,
  MERKLE_LEAF_BYTES,
} from '../../../protocol/layout.ts';
import { blocksOf, hashBlocks, levelsOver, rootPreimage, type TreeHash } from '../../../protocol/merkle.ts';
import type { SignedTree } from '../../../protocol/merkle-frame.ts';

/** Of a channel in a wave: its amount is not known to be durable; and a leaf with it is on its way, which fills the window. */
export const WAITS = 1;
export const SENT = 2;

/** Who the channels of a group are on the wire. */
export interface GroupIds {
  /** Ledger channel ids, one after the other, and handles in pairs. */
  readonly ledger: Uint8Array;
  readonly handles: Uint32Array;
}

/** What a root takes of its wave (wave.ts). */
export interface WaveLeaves {
  readonly amounts: Uint32Array;
  readonly flags: Uint8Array;
  readonly members: Uint32Array;
  readonly wire: Uint8Array;
  madeTo: number;
  gathered: number;
}

/** Leaves hashed in a turn of the event loop, so that acks are read in between: sixteen blocks, a fifth of a millisecond in C. */
const PIECE_LEAVES = 16 * MERKLE_BLOCK_LEAVES;
const pieceIds = new Uint8Array(PIECE_LEAVES * LEDGER_CHANNEL_ID_BYTES);
const pieceHashes = new Uint8Array(PIECE_LEAVES * MERKLE_HASH_BYTES);

export class GroupRoot implements SignedTree {
  /** The channels of its leaves, rising; `end` is over the last one looked at. */
  readonly members: Uint32Array;
  readonly end: number;
  readonly wire: Uint8Array;
  readonly leaves: number;
  readonly blocks: number;
  readonly sequence: number;
  readonly timestamp = new Uint8Array(8);
  levels: readonly Uint8Array[] = [];
  signature: Uint8Array = new Uint8Array(0);
  /** The next frame to be sent for the first time. */
  next = 0;
  /** Of each frame: when it left last, a random number for that, and how often it left again. */
  readonly sentAt: Float64Array;
  readonly jitter: Float64Array;
  readonly again: Uint8Array;
  readonly #nodes: Uint8Array;
  #hashed = 0;

  private constructor(wave: WaveLeaves, first: number, leaves: number, end: number, sequence: number, now: number) {
    this.members = wave.members.subarray(first, first + leaves);
    this.wire = wave.wire.subarray(first * MERKLE_LEAF_BYTES);
    this.end = end;
    this.leaves = leaves;
    this.blocks = blocksOf(leaves);
    this.sequence = sequence;
    this.sentAt = new Float64Array(this.blocks);
    this.jitter = new Float64Array(this.blocks);
    this.again = new Uint8Array(this.blocks);
    this.#nodes = new Uint8Array(this.blocks * MERKLE_HASH_BYTES);
    new DataView(this.timestamp.buffer).setFloat64(0, now);
  }

  /**
   * The next root of a wave: over the channels that wait in it from `wave.madeTo` on, at most `most`, and only those that `isLeaf` says. It
   * may come out without leaves.
   */
  static gather(
    wave: WaveLeaves,
    ids: GroupIds,
    most: number,
    isLeaf: (index: number) => boolean,
    sequence: number,
    now: number,
  ): GroupRoot {
    const { flags, members, amounts, wire, madeTo } = wave;
    const first = wave.gathered;
    const view = new DataView(wire.buffer);
    let leaves = 0;
    let index = madeTo;
    for (; index < flags.length && leaves < most; index++) {
      if ((flags[index]! & WAITS) === 0 || !isLeaf(index)) continue;
      const at = (first + leaves) * MERKLE_LEAF_BYTES;
      members[first + leaves] = index;
      view.setUint32(at, ids.handles[2 * index]!);
      view.setUint32(at + 4, ids.handles[2 * index + 1]!);
      view.setUint32(at + MERKLE_LEAF_AMOUNT, amounts[2 * index]!);
      view.setUint32(at + MERKLE_LEAF_AMOUNT + 4, amounts[2 * index + 1]!);
      leaves += 1;
    }
    wave.madeTo = index;
    wave.gathered += leaves;
    return new GroupRoot(wave, first, leaves, index, sequence, now);
  }

  /** Hashes for a moment. Returns whether the tree is whole. */
  hash(ids: GroupIds, hash: TreeHash): boolean {
    const from = this.#hashed;
    const count = Math.min(PIECE_LEAVES, this.leaves - from);
    const { members } = this;
    let [source, at] = [ids.ledger, members[from]! * LEDGER_CHANNEL_ID_BYTES];
    if (members[from + count - 1]! - members[from]! !== count - 1) {
      for (let leaf = 0; leaf < count; leaf++) {
        const id = members[from + leaf]! * LEDGER_CHANNEL_ID_BYTES;
        for (let byte = 0; byte < LEDGER_CHANNEL_ID_BYTES; byte++)
          pieceIds[leaf * LEDGER_CHANNEL_ID_BYTES + byte] = ids.ledger[id + byte]!;
      }
      [source, at] = [pieceIds, 0];
    }
    const blocksAt = (from / MERKLE_BLOCK_LEAVES) * MERKLE_HASH_BYTES;
    const wireAt = from * MERKLE_LEAF_BYTES;
    hashBlocks(hash, source, at, this.wire, wireAt, this.sequence, count, pieceHashes, this.#nodes, blocksAt);
    this.#hashed += count;
    if (this.#hashed < this.leaves) return false;
    this.levels = levelsOver(this.#nodes, this.leaves, hash);
    return true;
  }

  /** What is signed, of a whole tree. */
  get preimage(): Uint8Array {
    const root = this.levels.at(-1)!.subarray(0, MERKLE_HASH_BYTES);
    return rootPreimage(root, this.leaves, this.sequence, this.timestamp);
  }

  /** Whether anybody waits for one of its leaves. */
  isWanted({ flags }: WaveLeaves): boolean {
    return this.members.some((index) => (flags[index]! & WAITS) !== 0);
  }

  /** The leaves of a frame, as places in `members`. */
  startOf(block: number): number {
    return block * MERKLE_BLOCK_LEAVES;
  }
  endOf(block: number): number {
    return Math.min(this.leaves, (block + 1) * MERKLE_BLOCK_LEAVES);
  }

  /** The frame that has the channel's leaf; it is one of `members`. */
  blockOf(index: number): number {
    let [low, above] = [0, this.leaves];
    while (low + 1 < above) {
      const middle = (low + above) >>> 1;
      if (this.members[middle]! <= index) low = middle;
      else above = middle;
    }
    return Math.floor(low / MERKLE_BLOCK_LEAVES);
  }
}
