/**
 * A leaf with its whole path as a side table has it, by the ledger channel id: little-endian. Pure functions. The public key is the
 * channel's, in its row.
 */
import {
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_HASH_BYTES,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { type LeafProof, pathLength } from '../../protocol/merkle.ts';
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

export function encodeLeaf(channelId: bigint, proof: LeafProof): Uint8Array {
  const bytes = new Uint8Array(PATH + proof.path.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(ENTRY.version, VERSION, true);
  view.setUint32(ENTRY.leaves, proof.leaves, true);
  view.setUint32(ENTRY.index, proof.index, true);
  view.setUint32(ENTRY.sequence, proof.sequence, true);
  view.setBigUint64(ENTRY.channelId, channelId, true);
  view.setBigUint64(ENTRY.amount, proof.amount, true);
  bytes.set(proof.timestamp, ENTRY.timestamp);
  bytes.set(proof.signature, ENTRY.signature);
  bytes.set(proof.path, PATH);
  return bytes;
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
