/**
 * A leaf with its whole path as a side table has it, by the ledger channel id: little-endian. Pure functions. The public key is the
 * channel's, in its row.
 */
import {
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_BLOCK_LEAVES,
  MERKLE_HASH_BYTES,
  MERKLE_LEAF_AMOUNT,
  MERKLE_LEAVES_MAX,
  MERKLE_SIGNATURE,
  MERKLE_TIMESTAMP,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { auditPath, type LeafProof, pathLength } from '../../protocol/merkle.ts';
import { type FrameHead, frameLeafAt, framePathAt } from '../../protocol/merkle-frame.ts';
import { ClaimwireError } from '../errors.ts';

/** The side table of leaves. Not to be changed. */
export const LEAVES_TABLE = 'leaves';

const VERSION = 1;
/** Offsets in an entry; the path is behind them. */
const ENTRY = {
  version: 0, // u32
  leaves: 4, // u32, of the whole tree
  index: 8, // u32
  sequence: 12, // u32
  channelId: 16, // u64
  amount: 24, // u64
  timestamp: 32, // 8 bytes as on the wire
  signature: 40, // 64 bytes
} as const;
const PATH = ENTRY.signature + SIGNATURE_BYTES;

/** Bytes of the longest entry, that of a leaf of a full tree. */
export const LEAF_ENTRY_BYTES_MAX = PATH + Math.log2(MERKLE_LEAVES_MAX) * MERKLE_HASH_BYTES;

/** A frame, and the tree over its own leaves (`buildTree`). */
export interface LeafFrame {
  bytes: Buffer;
  /** Where it begins. */
  at: number;
  head: FrameHead;
  levels: readonly Uint8Array[];
}

/** Writes the entry of a leaf of the frame (0..63) to `out` at `at`; returns its bytes. A checkpoint writes tens of thousands: no leaf allocates. */
export function writeLeaf({ bytes, at: from, head, levels }: LeafFrame, leaf: number, out: Buffer, at: number): number {
  out.writeUInt32LE(VERSION, at + ENTRY.version);
  out.writeUInt32LE(head.leaves, at + ENTRY.leaves);
  out.writeUInt32LE(head.block * MERKLE_BLOCK_LEAVES + leaf, at + ENTRY.index);
  out.writeUInt32LE(head.sequence, at + ENTRY.sequence);
  const wire = frameLeafAt(from, leaf);
  for (let byte = 0; byte < 8; byte++) {
    out[at + ENTRY.channelId + byte] = bytes[wire + 7 - byte]!;
    out[at + ENTRY.amount + byte] = bytes[wire + MERKLE_LEAF_AMOUNT + 7 - byte]!;
  }
  bytes.copy(out, at + ENTRY.timestamp, from + MERKLE_TIMESTAMP, from + MERKLE_TIMESTAMP + 8);
  bytes.copy(out, at + ENTRY.signature, from + MERKLE_SIGNATURE, from + MERKLE_SIGNATURE + SIGNATURE_BYTES);
  const inside = auditPath(levels, head.count, leaf, out, at + PATH) * MERKLE_HASH_BYTES;
  const rest = head.pathLength * MERKLE_HASH_BYTES;
  const path = framePathAt(from, head);
  bytes.copy(out, at + PATH + inside, path, path + rest);
  return PATH + inside + rest;
}

/** The entry of a channel, whose proof lacks the key (33 zeros). Throws REGISTRY_CORRUPT. */
export function decodeLeaf(ledgerChannelId: Uint8Array, bytes: Uint8Array): { channelId: bigint; proof: LeafProof } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isWhole = bytes.length >= PATH && view.getUint32(ENTRY.version, true) === VERSION;
  const [leaves, index] = isWhole ? [view.getUint32(ENTRY.leaves, true), view.getUint32(ENTRY.index, true)] : [0, 0];
  const isSound =
    isWhole &&
    ledgerChannelId.length === LEDGER_CHANNEL_ID_BYTES &&
    index < leaves &&
    bytes.length === PATH + pathLength(index, leaves) * MERKLE_HASH_BYTES;
  if (!isSound)
    throw new ClaimwireError(
      'REGISTRY_CORRUPT',
      `leaf of channel ${Buffer.from(ledgerChannelId).toString('hex')}: expected a leaf and its path, got ${bytes.length} bytes; open the folder with the version that wrote it, or restore it`,
    );
  const bytesOf = (start: number, length: number) => bytes.slice(start, start + length);
  return {
    channelId: view.getBigUint64(ENTRY.channelId, true),
    proof: {
      publicKey: new Uint8Array(PUBLIC_KEY_BYTES),
      ledgerChannelId,
      amount: view.getBigUint64(ENTRY.amount, true),
      sequence: view.getUint32(ENTRY.sequence, true),
      timestamp: bytesOf(ENTRY.timestamp, 8),
      leaves,
      index,
      path: bytes.slice(PATH),
      signature: bytesOf(ENTRY.signature, SIGNATURE_BYTES),
    },
  };
}
