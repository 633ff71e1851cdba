/**
 * Receipts of a node, checked: what it signed of a channel's committed amount (protocol/receipt.ts). Cold path, in Node and in a page
 * alike.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { verify as verifySecp256k1 } from '@noble/secp256k1';
import { ED25519_KEY_PREFIX } from '../../protocol/layout.ts';
import { parseReceipt, type Receipt, receiptSigned } from '../../protocol/receipt.ts';
import { ClaimwireError } from '../errors.ts';
import { upperHex } from './keys/key-pair.ts';
import type { VerifyEd25519 } from './resume.ts';

export type { Receipt } from '../../protocol/receipt.ts';

/** What a receipt has to say, beside being signed. */
export interface ReceiptExpectation {
  /**
   * The node's receipt key, 33 bytes or 66 hex digits, as its operator told it. Without it any key will do: then a receipt shows only
   * that the holder of the key in it has signed it.
   */
  key?: Uint8Array | string | undefined;
  /** The channel, 32 bytes or 64 hex digits. */
  ledgerChannelId?: Uint8Array | string | undefined;
  /** The least amount, drops. */
  amount?: bigint | undefined;
}

/** How many signed roots are remembered: receipts that were fetched together share a few. */
const ROOTS_MAX = 16;

/** Checks receipts. A root's signature is checked once for the receipts under it that follow. */
export class ReceiptCheck {
  readonly #verifyEd25519: VerifyEd25519;
  /** Signed texts with their keys and signatures, of which the signatures hold. */
  readonly #sound = new Set<string>();

  constructor(verifyEd25519: VerifyEd25519) {
    this.#verifyEd25519 = verifyEd25519;
  }

  /** Resolves with the receipt's known fields. Rejects with ClaimwireError RECEIPT_INVALID, which says what is wrong. */
  async check(value: unknown, expected: ReceiptExpectation = {}): Promise<Receipt> {
    const receipt = parseReceipt(value);
    if (receipt === undefined) throw invalid('the fields of a receipt, each of its form', 'others');
    const { ledgerChannelId, amount, publicKey } = receipt;
    const channel = textOf(expected.ledgerChannelId);
    if (channel !== undefined && ledgerChannelId !== channel) throw invalid(`channel ${channel}`, ledgerChannelId);
    if (expected.amount !== undefined && BigInt(amount) < expected.amount)
      throw invalid(`at least ${expected.amount} drops`, amount);
    const key = textOf(expected.key);
    if (key !== undefined && publicKey !== key) throw invalid(`the key ${key}`, publicKey);
    const signed = receiptSigned(receipt);
    if (signed === undefined) throw invalid('a leaf and a path that lead to the root', 'another root');
    const name = [publicKey, receipt.signature, upperHex(signed.preimage)].join();
    if (this.#sound.has(name)) return receipt;
    if (!(await this.#holds(signed))) throw invalid('a signature by its key over the root', 'another');
    if (this.#sound.size === ROOTS_MAX) this.#sound.clear();
    this.#sound.add(name);
    return receipt;
  }

  async #holds({ preimage, signature, publicKey }: NonNullable<ReturnType<typeof receiptSigned>>): Promise<boolean> {
    try {
      if (publicKey[0] === ED25519_KEY_PREFIX)
        return await this.#verifyEd25519(preimage, signature, publicKey.subarray(1));
      return verifySecp256k1(signature, sha256(preimage), publicKey, { prehash: false, lowS: true });
    } catch {
      // Bytes that are no point of the curve.
      return false;
    }
  }
}

function textOf(bytes: Uint8Array | string | undefined): string | undefined {
  return typeof bytes === 'object' ? upperHex(bytes) : bytes?.toUpperCase();
}

function invalid(expected: string, got: string): ClaimwireError {
  const message = `receipt: expected ${expected}, got ${got}; do not take it for proof`;
  return new ClaimwireError('RECEIPT_INVALID', message);
}
