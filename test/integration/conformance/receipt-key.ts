/** The node's key for receipts, and the check of one, apart from the node's code and its client: Ed25519 and SHA-256 of OpenSSL. */
import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);

export const RECEIPT_KEY = {
  publicKey: Uint8Array.of(0xed, ...point),
  signMessage: (message: Uint8Array): Uint8Array => sign(null, message, privateKey),
};

const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
const bytes = (hex: unknown) => Buffer.from(hex as string, 'hex');

/** Whether a receipt holds, by protocol/README.md: RFC 9162, 2.1.3.2, over the leaf of the channel and the amount. */
export function holds(receipt: Record<string, unknown>, ledgerChannelId: Uint8Array): boolean {
  const { amount, leaf, leaves, path, root, time, signature } = receipt;
  const numbers = Buffer.alloc(20);
  numbers.writeBigUInt64BE(BigInt(amount as string));
  numbers.writeUInt32BE(leaves as number, 8);
  numbers.writeBigUInt64BE(BigInt(time as number), 12);
  let node = sha256(Buffer.from('\0claimwire\x02'), ledgerChannelId, numbers.subarray(0, 8));
  let [index, last] = [leaf as number, (leaves as number) - 1];
  for (const hash of path as string[]) {
    if (index % 2 === 1 || index === last) {
      node = sha256(Uint8Array.of(1), bytes(hash), node);
      while (index % 2 === 0 && index > 0) [index, last] = [index >>> 1, last >>> 1];
    } else node = sha256(Uint8Array.of(1), node, bytes(hash));
    [index, last] = [index >>> 1, last >>> 1];
  }
  const text = [Buffer.from('claimwire/receipt/1'), RECEIPT_KEY.publicKey, node, numbers.subarray(8)];
  return last === 0 && node.equals(bytes(root)) && verify(null, Buffer.concat(text), publicKey, bytes(signature));
}
