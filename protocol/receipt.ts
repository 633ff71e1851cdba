/**
 * Receipts: what a node signs of the amounts that it has committed, and how one is read (README.md, "Receipts"). Runs anywhere,
 * imports nothing of Node.
 *
 * A node signs the root of a tree whose leaves are channels with their amounts; a receipt is one leaf with its way to the root. The
 * tree is that of Merkle batches (merkle.ts), its leaves and the signed text begin in ways of their own: no leaf of a claim is one
 * of a receipt, and no signature over either is one over the other.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { DECIMAL_U64 } from './control.ts';
import {
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_HASH_BYTES,
  MERKLE_LEAVES_MAX,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
} from './layout.ts';
import { climb, pathLength } from './merkle.ts';

/** `"\0claimwire\2" ‖ ledgerChannelId[32] ‖ u64 amount`: 51 bytes. A claim's leaf has a 1 for the 2, and 55 bytes. */
const LEAF_PREFIX = utf8ToBytes('\0claimwire\x02');
/** `"claimwire/receipt/1" ‖ publicKey[33] ‖ root[32] ‖ u32 leaves ‖ u64 time`: 96 bytes. */
const SIGNED_PREFIX = utf8ToBytes('claimwire/receipt/1');

/** A receipt as the node answers it, in JSON and in MessagePack. Bytes are hex in upper case. */
export interface Receipt {
  /** 64 digits. */
  ledgerChannelId: string;
  /** Drops in decimal: so many are committed on the channel, or more. */
  amount: string;
  /** Which leaf of the tree it is, from 0, and how many there are. */
  leaf: number;
  leaves: number;
  /** The audit path from the leaf up, 64 digits each. */
  path: string[];
  /** 64 digits; follows from the leaf and the path. */
  root: string;
  /** Milliseconds since 1970 by the node's clock: when the amounts were read. */
  time: number;
  /** The node's receipt key, 66 digits. */
  publicKey: string;
  /** Over the root, 128 digits. */
  signature: string;
}

/** What a receipt's leaf is the SHA-256 of. Throws RangeError where the id has not 32 bytes. */
export function receiptLeafPreimage(ledgerChannelId: Uint8Array, amount: bigint): Uint8Array {
  if (ledgerChannelId.length !== LEDGER_CHANNEL_ID_BYTES)
    throw new RangeError(`ledger channel id: expected ${LEDGER_CHANNEL_ID_BYTES} bytes, got ${ledgerChannelId.length}`);
  const preimage = new Uint8Array(LEAF_PREFIX.length + LEDGER_CHANNEL_ID_BYTES + 8);
  preimage.set(LEAF_PREFIX);
  preimage.set(ledgerChannelId, LEAF_PREFIX.length);
  new DataView(preimage.buffer).setBigUint64(LEAF_PREFIX.length + LEDGER_CHANNEL_ID_BYTES, amount);
  return preimage;
}

/** The hash of a receipt's leaf. Throws RangeError where the id has not 32 bytes. */
export function receiptLeaf(ledgerChannelId: Uint8Array, amount: bigint): Uint8Array {
  return sha256(receiptLeafPreimage(ledgerChannelId, amount));
}

/**
 * The 96 bytes that a node's signature covers: secp256k1 signs their SHA-256, Ed25519 the bytes themselves, as under the `link`
 * profile. The key is among them, so that nobody can name another key that the same signature is valid for.
 * @param time milliseconds, a whole number
 */
export function receiptPreimage(publicKey: Uint8Array, root: Uint8Array, leaves: number, time: number): Uint8Array {
  if (publicKey.length !== PUBLIC_KEY_BYTES || root.length !== MERKLE_HASH_BYTES)
    throw new RangeError(
      `receipt: expected ${PUBLIC_KEY_BYTES} bytes of key and ${MERKLE_HASH_BYTES} of root, got ${publicKey.length} and ${root.length}`,
    );
  const preimage = new Uint8Array(SIGNED_PREFIX.length + PUBLIC_KEY_BYTES + MERKLE_HASH_BYTES + 4 + 8);
  const view = new DataView(preimage.buffer);
  preimage.set(SIGNED_PREFIX);
  preimage.set(publicKey, SIGNED_PREFIX.length);
  const rootAt = SIGNED_PREFIX.length + PUBLIC_KEY_BYTES;
  preimage.set(root, rootAt);
  view.setUint32(rootAt + MERKLE_HASH_BYTES, leaves);
  view.setBigUint64(rootAt + MERKLE_HASH_BYTES + 4, BigInt(time));
  return preimage;
}

/**
 * Reads what says to be a receipt: its known fields alone, hex in upper case. Undefined where a field is missing, has another form,
 * or does not fit the others. Never throws; the signature is not looked at here.
 */
export function parseReceipt(value: unknown): Receipt | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { ledgerChannelId, amount, leaf, leaves, path, root, time, publicKey, signature } = value as Record<
    string,
    unknown
  >;
  if (!isCount(leaf, MERKLE_LEAVES_MAX - 1) || !isCount(leaves, MERKLE_LEAVES_MAX) || leaf >= leaves) return undefined;
  if (!isCount(time, Number.MAX_SAFE_INTEGER) || !isU64(amount)) return undefined;
  if (!Array.isArray(path) || path.length !== pathLength(leaf, leaves)) return undefined;
  if (!path.every((hash) => isHex(hash, MERKLE_HASH_BYTES)) || !isHex(root, MERKLE_HASH_BYTES)) return undefined;
  if (!isHex(ledgerChannelId, LEDGER_CHANNEL_ID_BYTES) || !isHex(publicKey, PUBLIC_KEY_BYTES)) return undefined;
  if (!isHex(signature, SIGNATURE_BYTES)) return undefined;
  return {
    ledgerChannelId: ledgerChannelId.toUpperCase(),
    amount,
    leaf,
    leaves,
    path: path.map((hash: string) => hash.toUpperCase()),
    root: root.toUpperCase(),
    time,
    publicKey: publicKey.toUpperCase(),
    signature: signature.toUpperCase(),
  };
}

/**
 * What a receipt's signature has to cover, and with which key: undefined where the leaf and the path do not lead to the root that it
 * names. @param receipt from `parseReceipt`
 */
export function receiptSigned(
  receipt: Receipt,
): { preimage: Uint8Array; signature: Uint8Array; publicKey: Uint8Array } | undefined {
  const { leaf, leaves, time } = receipt;
  const node = receiptLeaf(hexToBytes(receipt.ledgerChannelId), BigInt(receipt.amount));
  climb(node, 0, leaf, leaves, hexToBytes(receipt.path.join('')), 0);
  if (bytesToHex(node).toUpperCase() !== receipt.root) return undefined;
  const publicKey = hexToBytes(receipt.publicKey);
  const preimage = receiptPreimage(publicKey, node, leaves, time);
  return { preimage, signature: hexToBytes(receipt.signature), publicKey };
}

function isCount(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

function isU64(value: unknown): value is string {
  return typeof value === 'string' && DECIMAL_U64.test(value) && BigInt(value) <= 0xffff_ffff_ffff_ffffn;
}

function isHex(value: unknown, bytes: number): value is string {
  return typeof value === 'string' && value.length === 2 * bytes && /^[0-9a-fA-F]+$/.test(value);
}
