/** The tree of one interval: channels with the amounts that were durable when it was made, and a receipt for each leaf. Main thread. */
import { hash } from 'node:crypto';
import { MERKLE_HASH_BYTES } from '../../protocol/layout.ts';
import { auditPath, buildTree } from '../../protocol/merkle.ts';
import { type Receipt, receiptLeafPreimage, receiptPreimage } from '../../protocol/receipt.ts';
import { treeHash } from '../verify/tree-hash.ts';

/** The longest way from a leaf of a tree of 65,536 leaves to its root. */
const PATH_HASHES_MAX = 16;

interface Leaf {
  readonly ledgerChannelId: Uint8Array;
  readonly amount: bigint;
}

export class ReceiptTree {
  readonly #leaves: Leaf[] = [];
  /** Leaves by channel and amount. */
  readonly #places = new Map<string, number>();
  #levels: Uint8Array[] = [];
  #time = 0;
  #signed: { publicKey: string; signature: string } | undefined;

  get size(): number {
    return this.#leaves.length;
  }

  /** Adds a leaf, unless there is one of the same channel and amount. Not after `close`. */
  add(channelId: bigint, amount: bigint, ledgerChannelId: Uint8Array): void {
    const place = placeOf(channelId, amount);
    if (this.#places.has(place)) return;
    this.#places.set(place, this.#leaves.length);
    this.#leaves.push({ ledgerChannelId, amount });
  }

  /** Hashes the leaves, at least one, up to the root. @returns the bytes to sign */
  close(publicKey: Uint8Array, time: number): Uint8Array {
    const hashes = new Uint8Array(this.size * MERKLE_HASH_BYTES);
    for (const [index, { ledgerChannelId, amount }] of this.#leaves.entries())
      hashes.set(hash('sha256', receiptLeafPreimage(ledgerChannelId, amount), 'buffer'), index * MERKLE_HASH_BYTES);
    this.#levels = buildTree(hashes, this.size, treeHash());
    this.#time = time;
    return receiptPreimage(publicKey, this.#root, this.size, time);
  }

  /** The root is signed: from now on it gives receipts. */
  sign(publicKey: Uint8Array, signature: Uint8Array): void {
    this.#signed = { publicKey: hex(publicKey), signature: hex(signature) };
  }

  /** Undefined where no leaf has this channel with this amount. */
  receipt(channelId: bigint, amount: bigint): Receipt | undefined {
    const leaf = this.#places.get(placeOf(channelId, amount));
    if (leaf === undefined || this.#signed === undefined) return undefined;
    const path = Buffer.alloc(PATH_HASHES_MAX * MERKLE_HASH_BYTES);
    const length = auditPath(this.#levels, this.size, leaf, path, 0);
    return {
      ledgerChannelId: hex(this.#leaves[leaf]!.ledgerChannelId),
      amount: String(amount),
      leaf,
      leaves: this.size,
      path: Array.from({ length }, (_, at) => hex(path.subarray(at * MERKLE_HASH_BYTES, (at + 1) * MERKLE_HASH_BYTES))),
      root: hex(this.#root),
      time: this.#time,
      ...this.#signed,
    };
  }

  get #root(): Uint8Array {
    return this.#levels.at(-1)!.subarray(0, MERKLE_HASH_BYTES);
  }
}

function placeOf(channelId: bigint, amount: bigint): string {
  return `${channelId}/${amount}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex').toUpperCase();
}
