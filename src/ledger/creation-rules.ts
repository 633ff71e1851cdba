/**
 * What a payer's signed PaymentChannelCreate must say before it is submitted. Pure, any thread.
 *
 * The payer's drops are locked once it is validated, and its fee is gone: so whatever would keep the channel from being
 * opened here is found before.
 */
import { KeyCheck } from '../channel/parse.ts';
import { ClaimwireError } from '../errors.ts';
import { ledgerChannelIdOf } from './funding.ts';
import type { LedgerChannel } from './ledger-port.ts';
import { BLOB_DIGITS_MAX } from './signed-transaction.ts';
import type { SignedTransaction } from './signing.ts';
import { parseAddress, RIPPLE_EPOCH } from './xrpl.ts';
import type { XrplLibrary } from './xrpl-library.ts';

/** A transaction that creates a channel, ready to be submitted. */
export interface Creation extends SignedTransaction {
  account: string;
  sequence: number;
  feeDrops: bigint;
  /** It cannot be in a later ledger. */
  lastLedger: number;
  networkId: number | undefined;
  /** The channel that it makes. */
  channel: LedgerChannel;
}

const REQUIRED = [
  ...['TransactionType', 'Account', 'Destination', 'Amount', 'SettleDelay', 'PublicKey'],
  ...['Fee', 'Sequence', 'LastLedgerSequence', 'SigningPubKey', 'TxnSignature'],
];
const ALLOWED = new Set([...REQUIRED, 'CancelAfter', 'Flags', 'NetworkID', 'SourceTag', 'DestinationTag', 'Memos']);
/** tfFullyCanonicalSig, which old libraries set. */
const FLAGS_ALLOWED = [undefined, 0, 0x8000_0000];
const DROPS = /^[1-9][0-9]{0,17}$/;
const keys = new KeyCheck();

/**
 * Reads a signed transaction.
 * @throws ClaimwireError LEDGER_REFUSED where it is no PaymentChannelCreate that its own account has signed
 */
export function parseCreation(blob: string, xrpl: XrplLibrary): Creation {
  const fields = decode(blob, xrpl);
  const { TransactionType, Account, Destination, Amount, SettleDelay, PublicKey, SigningPubKey } = fields;
  if (TransactionType !== 'PaymentChannelCreate')
    throw refused('TransactionType', 'PaymentChannelCreate', TransactionType);
  for (const name of REQUIRED) if (fields[name] === undefined) throw refused(name, 'a value', undefined);
  for (const name of Object.keys(fields)) if (!ALLOWED.has(name)) throw refused(name, 'no such field', fields[name]);
  if (!FLAGS_ALLOWED.includes(fields.Flags as number)) throw refused('Flags', '0', fields.Flags);
  const signer = xrpl.deriveAddress(SigningPubKey as string);
  if (signer !== Account) throw refused('SigningPubKey', `the key of ${Account}`, signer);
  const account = parseAddress(Account as string, 'Account');
  const destination = parseAddress(Destination as string, 'Destination');
  if (typeof Amount !== 'string' || !DROPS.test(Amount)) throw refused('Amount', 'drops', Amount);
  const sequence = fields.Sequence as number;
  // A ticket's transaction has none, and its channel another id.
  if (sequence === 0) throw refused('Sequence', 'a number of the account', sequence);
  const publicKey = keyOf(PublicKey);
  return {
    blob,
    hash: xrpl.hashes.hashSignedTx(blob),
    account,
    sequence,
    feeDrops: BigInt(fields.Fee as string),
    lastLedger: fields.LastLedgerSequence as number,
    networkId: fields.NetworkID as number | undefined,
    channel: {
      ledgerChannelId: ledgerChannelIdOf(account, destination, sequence),
      account,
      destination,
      publicKey,
      amount: BigInt(Amount),
      balance: 0n,
      settleDelay: SettleDelay as number,
      expiration: 0,
      cancelAfter: fields.CancelAfter === undefined ? 0 : (fields.CancelAfter as number) + RIPPLE_EPOCH,
    },
  };
}

/** The fields of a blob whose signature is good. Its encoding is the ledger's own, or its hash would be another. */
function decode(blob: string, xrpl: XrplLibrary): Record<string, unknown> {
  if (blob.length > BLOB_DIGITS_MAX) throw refused('transaction', `at most ${BLOB_DIGITS_MAX} digits`, blob.length);
  let fields: Record<string, unknown>;
  let isSigned: boolean;
  try {
    fields = xrpl.decode(blob);
    isSigned = xrpl.encode(fields as never) === blob && xrpl.verifySignature(blob);
  } catch {
    throw refused('transaction', 'a signed transaction that decodes', 'another');
  }
  if (!isSigned) throw refused('transaction', 'a valid signature', 'another');
  return fields;
}

function keyOf(value: unknown): Uint8Array {
  try {
    return keys.check(value, 'PublicKey');
  } catch {
    throw refused('PublicKey', 'a key that can sign claims', value);
  }
}

export function refused(field: string, expected: string, actual: unknown): ClaimwireError {
  const got = typeof actual === 'string' ? actual : (JSON.stringify(actual) ?? 'none');
  return new ClaimwireError('LEDGER_REFUSED', `${field}: expected ${expected}, got ${got.slice(0, 80)}`);
}
