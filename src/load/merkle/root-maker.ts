/**
 * Makes one signed root after the other over all channels of a run: each root raises the amount of every channel by a drop.
 *
 * Runs in the load's own process, and hashes a piece at a time, so that acks are read in between. Of the tree only the nodes over blocks of 64
 * leaves and what is above them are kept: the frames carry no others.
 */
import {
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_BLOCK_LEAVES,
  MERKLE_HASH_BYTES,
  MERKLE_LEAF_AMOUNT,
  MERKLE_LEAF_BYTES,
} from '../../../protocol/layout.ts';
import { blocksOf, hashBlocks, levelsOver, rootPreimage, type TreeHash } from '../../../protocol/merkle.ts';
import type { SignedTree } from '../../../protocol/merkle-frame.ts';

/** Signs the 64 bytes of a root's preimage. */
export type SignRoot = (preimage: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** Leaves hashed at once: sixteen blocks, a fifth of a millisecond. */
const PIECE_LEAVES = 16 * MERKLE_BLOCK_LEAVES;

/** A root on its way, and the amount that all its leaves have. */
export interface MadeRoot extends SignedTree {
  amount: number;
}

interface Room {
  readonly wire: Uint8Array;
  readonly view: DataView;
  /** The nodes over blocks. */
  readonly blocks: Uint8Array;
  readonly above: Uint8Array[];
}

export class RootMaker {
  /** Roots signed. */
  signed = 0;
  readonly leaves: number;
  readonly #ids: Uint8Array;
  readonly #hash: TreeHash;
  readonly #sign: SignRoot;
  readonly #scratch = new Uint8Array(PIECE_LEAVES * MERKLE_HASH_BYTES);
  /** Two turns of memory: one root is sent while the next one is made. */
  readonly #rooms: Room[];
  #sequence: number;
  #amount: number;
  /** Of the root being made: how many leaves are hashed, and whether the signer has it. */
  #hashed = 0;
  #isSigning = false;
  #ready: MadeRoot | undefined;
  #failure: unknown;

  /**
   * @param ids ledger channel ids, 32 bytes each
   * @param handles as in a leaf, 8 bytes each
   */
  constructor(
    ids: Uint8Array,
    handles: Uint8Array,
    start: { sequence: number; amount: number },
    hash: TreeHash,
    sign: SignRoot,
  ) {
    this.leaves = ids.length / LEDGER_CHANNEL_ID_BYTES;
    this.#ids = ids;
    this.#hash = hash;
    this.#sign = sign;
    this.#sequence = start.sequence;
    this.#amount = start.amount;
    this.#rooms = [0, 1].map(() => {
      const wire = new Uint8Array(this.leaves * MERKLE_LEAF_BYTES);
      for (let leaf = 0; leaf < this.leaves; leaf++)
        wire.set(handles.subarray(leaf * 8, leaf * 8 + 8), leaf * MERKLE_LEAF_BYTES);
      const blocks = new Uint8Array(blocksOf(this.leaves) * MERKLE_HASH_BYTES);
      return { wire, view: new DataView(wire.buffer), blocks, above: [] };
    });
  }

  /** Goes on with the next root for a moment. Returns false where there is nothing to do until one is taken, or signed. */
  step(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ready !== undefined || this.#isSigning) return false;
    if (this.#hashed < this.leaves) this.#hashPiece();
    else this.#finish();
    return true;
  }

  /** The root that is ready, if one is; the one taken before it is no longer valid. */
  take(): MadeRoot | undefined {
    const root = this.#ready;
    if (root === undefined) return undefined;
    this.#ready = undefined;
    this.#hashed = 0;
    this.#rooms.reverse();
    return root;
  }

  #hashPiece(): void {
    const [{ wire, view, blocks }] = this.#rooms as [Room];
    const from = this.#hashed;
    const count = Math.min(PIECE_LEAVES, this.leaves - from);
    const [high, low] = [Math.floor((this.#amount + 1) / 2 ** 32), (this.#amount + 1) >>> 0];
    for (let at = from * MERKLE_LEAF_BYTES + MERKLE_LEAF_AMOUNT; at < (from + count) * MERKLE_LEAF_BYTES; at += 16) {
      view.setUint32(at, high);
      view.setUint32(at + 4, low);
    }
    const sequence = this.#sequence + 1;
    const [idsAt, wireAt] = [from * LEDGER_CHANNEL_ID_BYTES, from * MERKLE_LEAF_BYTES];
    const blocksAt = (from / MERKLE_BLOCK_LEAVES) * MERKLE_HASH_BYTES;
    hashBlocks(this.#hash, this.#ids, idsAt, wire, wireAt, sequence, count, this.#scratch, blocks, blocksAt);
    this.#hashed += count;
  }

  #finish(): void {
    const [{ wire, blocks, above }] = this.#rooms as [Room];
    const [leaves, sequence, amount] = [this.leaves, this.#sequence + 1, this.#amount + 1];
    const levels = levelsOver(blocks, leaves, this.#hash, above);
    const timestamp = new Uint8Array(8);
    new DataView(timestamp.buffer).setFloat64(0, performance.timeOrigin + performance.now());
    const preimage = rootPreimage(levels.at(-1)!.subarray(0, MERKLE_HASH_BYTES), leaves, sequence, timestamp);
    const ready = (signature: Uint8Array) => {
      this.#isSigning = false;
      this.signed += 1;
      this.#sequence = sequence;
      this.#amount = amount;
      this.#ready = { wire, levels, leaves, sequence, timestamp, signature, amount };
    };
    const answer = this.#sign(preimage);
    if (answer instanceof Uint8Array) {
      ready(answer);
      return;
    }
    this.#isSigning = true;
    answer.then(ready, (error: unknown) => {
      this.#failure = error;
    });
  }
}
