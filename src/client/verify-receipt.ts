/** Receipts checked offline, in Node. User's thread. */
import { verifyEd25519 } from './keys/verify-ed25519.ts';
import { type Receipt, ReceiptCheck, type ReceiptExpectation } from './receipt.ts';

const check = new ReceiptCheck(verifyEd25519);

/**
 * Checks a receipt without a node: its path, its signature, and what it should say. Resolves with its known fields; rejects with
 * ClaimwireError RECEIPT_INVALID, which says what is wrong. Without `key` it shows only that the holder of the key in it signed it.
 */
export function verifyReceipt(receipt: unknown, expected: ReceiptExpectation = {}): Promise<Receipt> {
  return check.check(receipt, expected);
}
