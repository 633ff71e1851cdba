/** A receipt as bytes and as JSON: its leaf, the signed text, and what is none. The hashes here are node:crypto's own. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { resumePreimage } from '../../../protocol/control.ts';
import { leafHash, rootPreimage } from '../../../protocol/merkle.ts';
import { parseReceipt, receiptLeaf, receiptPreimage, receiptSigned } from '../../../protocol/receipt.ts';

const ID = Uint8Array.from({ length: 32 }, (_, at) => at + 1);
const KEY = Uint8Array.of(2, ...new Uint8Array(32).fill(0x77));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();
const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
const u64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};

/** Two leaves; the receipt of the second. */
function pair() {
  const [first, second] = [receiptLeaf(ID.toReversed(), 4n), receiptLeaf(ID, 5n)];
  const root = sha256(Uint8Array.of(1), first, second);
  return {
    ledgerChannelId: hex(ID),
    amount: '5',
    leaf: 1,
    leaves: 2,
    path: [hex(first)],
    root: hex(root),
    time: 1_800_000_000_123,
    publicKey: hex(KEY),
    signature: 'AB'.repeat(64),
  };
}

test('the leaf and the signed text are as protocol/README.md has them', () => {
  const leaf = sha256(Buffer.from('00636C61696D7769726502', 'hex'), ID, u64(2n ** 63n + 5n));
  expect(hex(receiptLeaf(ID, 2n ** 63n + 5n))).toBe(hex(leaf));
  const text = Buffer.concat([
    Buffer.from('claimwire/receipt/1'),
    KEY,
    leaf,
    Buffer.from('00010000', 'hex'),
    u64(1_800_000_000_123n),
  ]);
  expect(hex(receiptPreimage(KEY, leaf, 65_536, 1_800_000_000_123))).toBe(hex(text));
  expect(text.length).toBe(96);
  expect(() => receiptLeaf(ID.subarray(1), 1n)).toThrow(RangeError);
  expect(() => receiptPreimage(KEY.subarray(1), leaf, 1, 1)).toThrow(RangeError);
});

test('no leaf of a claim is one of a receipt, and neither is a node of a tree; no signed text begins as another', () => {
  // Of the same numbers, and of those that would bring the bytes nearest: the prefixes differ in their last byte.
  for (const [sequence, amount] of [
    [0, 5n],
    [5, 5n],
    [0, 5n << 32n],
  ] as const)
    expect(hex(leafHash(ID, sequence, amount))).not.toBe(hex(receiptLeaf(ID, 5n)));
  const leafPreimage = Buffer.concat([Buffer.from('\0claimwire\x02'), ID, u64(5n)]);
  expect(hex(receiptLeaf(ID, 5n))).toBe(hex(sha256(leafPreimage)));
  expect(leafPreimage[0]).toBe(0);
  const root = new Uint8Array(32);
  const texts = [
    receiptPreimage(KEY, root, 1, 0),
    rootPreimage(root, 1, 0, new Uint8Array(8)),
    resumePreimage(ID, new Uint8Array(16)),
    Buffer.from('claimwire/link/1'),
    Buffer.from('claimwire/session/1'),
    Buffer.from('CLM\0'),
  ].map((bytes) => Buffer.from(bytes.subarray(0, 16)).toString('latin1'));
  expect(new Set(texts).size).toBe(texts.length);
});

test('a leaf and a path lead to the root, or there is nothing to verify', () => {
  const receipt = pair();
  const { preimage, publicKey, signature } = receiptSigned(receipt)!;
  expect(hex(preimage)).toBe(hex(receiptPreimage(KEY, Buffer.from(receipt.root, 'hex'), 2, receipt.time)));
  expect([hex(publicKey), hex(signature)]).toEqual([receipt.publicKey, receipt.signature]);
  expect(receiptSigned({ ...receipt, amount: '6' })).toBeUndefined();
  expect(receiptSigned({ ...receipt, leaf: 0 })).toBeUndefined();
});

test('what is read: known fields of their form, hex in either case; all else is no receipt, and nothing is thrown', () => {
  const receipt = pair();
  expect(parseReceipt({ ...receipt, root: receipt.root.toLowerCase(), id: 1, ok: true })).toEqual(receipt);
  const wrong: Record<string, unknown[]> = {
    ledgerChannelId: [undefined, '', 'AB', 5, `${receipt.ledgerChannelId}AB`, 'X'.repeat(64)],
    amount: [undefined, 5, '05', '-1', '', '1.5', '18446744073709551616', '9'.repeat(1_000)],
    leaf: [undefined, -1, 2, 0.5, '1', Number.NaN, 65_536],
    leaves: [undefined, 0, 1, 3.5, 65_537, 2 ** 32, '2'],
    path: [undefined, [], 'AB', {}, [receipt.path[0], receipt.path[0]], [5], [''], new Array(1e6)],
    root: [undefined, null, 'AB'],
    time: [undefined, -1, 1.5, 2 ** 53, '1', Number.POSITIVE_INFINITY],
    publicKey: [undefined, receipt.root],
    signature: [undefined, receipt.root, `${receipt.signature.slice(1)} `],
  };
  for (const [field, values] of Object.entries(wrong))
    for (const value of values) expect(parseReceipt({ ...receipt, [field]: value }), field).toBeUndefined();
  // A leaf that the tree has not, with as many hashes as a path of its number would have.
  expect(parseReceipt({ ...receipt, leaf: 3, leaves: 3, path: [receipt.root, receipt.root] })).toBeUndefined();
  for (const value of [undefined, null, 5, 'text', [], {}]) expect(parseReceipt(value)).toBeUndefined();
});
