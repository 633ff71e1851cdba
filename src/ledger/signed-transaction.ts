/**
 * Transactions before and after signing, and the check that what was signed is what was asked for. Pure, any thread.
 */
import { ClaimwireError } from '../errors.ts';
import type { LedgerTransaction, SignedTransaction } from './signing.ts';
import type { XrplLibrary } from './xrpl-library.ts';

/** Our transactions have some 500 bytes. */
export const BLOB_DIGITS_MAX = 8_192;
const ADDED = ['SigningPubKey', 'TxnSignature'];

/**
 * Returns the signed transaction if it is the one that was asked for: every field and none more, a valid signature, the hash
 * of just this blob. A signer that is wrong, or not ours, cannot make us submit something else.
 * @throws ClaimwireError WALLET_INVALID
 */
export function checkSigned(
  asked: LedgerTransaction,
  { blob, hash }: SignedTransaction,
  xrpl: XrplLibrary,
): SignedTransaction {
  if (blob.length > BLOB_DIGITS_MAX || !/^([0-9A-F]{2})+$/.test(blob)) throw wrong('a blob in hex', 'something else');
  let signed: Record<string, unknown>;
  let isValid: boolean;
  try {
    signed = xrpl.decode(blob);
    // Another encoding of the same fields would have another hash than the ledger's.
    isValid = xrpl.encode(signed as never) === blob && xrpl.verifySignature(blob);
  } catch {
    throw wrong('a blob that decodes', 'another');
  }
  const fields = Object.entries(asked).filter(([, value]) => value !== undefined);
  for (const [field, value] of fields)
    if (signed[field] !== value) throw wrong(`${field} ${value}`, JSON.stringify(signed[field]) ?? 'none');
  const names = new Set([...fields.map(([field]) => field), ...ADDED]);
  const stranger = Object.keys(signed).find((field) => !names.has(field));
  if (stranger !== undefined) throw wrong('the fields that were asked for', `${stranger} as well`);
  if (!isValid) throw wrong('a valid signature', 'another');
  const actual = xrpl.hashes.hashSignedTx(blob);
  if (hash !== actual) throw wrong(`hash ${actual}`, hash.slice(0, 64));
  return { blob, hash };
}

function wrong(expected: string, actual: string): ClaimwireError {
  return new ClaimwireError('WALLET_INVALID', `signed transaction: expected ${expected}, got ${actual}`);
}
