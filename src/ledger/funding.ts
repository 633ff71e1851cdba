/**
 * A payer's side of the ledger: makes a payment channel and adds to its deposit. Prepares, checks what would cost a fee and
 * fail, signs, submits, and believes the metadata of a validated ledger alone. Main thread.
 */
import { createHash } from 'node:crypto';
import { decodeAccountID } from 'ripple-address-codec';
import { isoTime, upperHex } from '../channel/parse.ts';
import { ClaimwireError } from '../errors.ts';
import type { Clock } from '../system/system.ts';
import { fillIn, type Unfilled } from './fill-in.ts';
import { untilFinal } from './finality.ts';
import type { FinalTransaction, LedgerConnection } from './ledger-port.ts';
import type { LedgerTransaction, SignedTransaction } from './signing.ts';
import { endOf } from './view.ts';
import { rippleTime } from './xrpl.ts';

/** The type byte of payment channels, in two bytes, before what their ids are made of. */
const CHANNEL_SPACE = 0x78;
const ID_BYTES = 32;

export interface ChannelTerms {
  /** The payee, a classic address. */
  destination: string;
  /** Drops to lock. */
  amount: bigint;
  settleDelaySeconds: number;
  /** 33 bytes: the key that signs claims. */
  publicKey: Uint8Array;
  /** Unix seconds; 0 = never. */
  cancelAfter: number;
}

export interface FundingTerms {
  ledgerChannelId: Uint8Array;
  /** Drops to add. */
  amount: bigint;
  /** A new Expiration in Unix seconds; 0 leaves it. */
  expiration: number;
}

export interface FundingOptions {
  connection: LedgerConnection;
  /** The payer's address; its wallet signs. */
  account: string;
  feeMaxDrops: bigint;
  clock: Clock;
  signal: AbortSignal;
}

/** A channel's id: SHA-512Half of 0x0078, both accounts and the Sequence of the transaction that made it. */
export function ledgerChannelIdOf(account: string, destination: string, sequence: number): Uint8Array {
  const numbers = new DataView(new ArrayBuffer(6));
  numbers.setUint16(0, CHANNEL_SPACE);
  numbers.setUint32(2, sequence);
  const bytes = new Uint8Array(numbers.buffer);
  const hash = createHash('sha512').update(bytes.subarray(0, 2));
  hash.update(decodeAccountID(account)).update(decodeAccountID(destination)).update(bytes.subarray(2));
  return new Uint8Array(hash.digest().subarray(0, ID_BYTES));
}

/** A PaymentChannelCreate, ready to be signed. Throws LEDGER_REFUSED where the ledger would take the fee and refuse it. */
export async function prepareCreate(terms: ChannelTerms, options: FundingOptions): Promise<LedgerTransaction> {
  const { connection, account, signal } = options;
  const { destination, amount, cancelAfter } = terms;
  if (destination === account) throw refused(`destination: expected another account than the payer's, got ${account}`);
  if ((await connection.account(destination, signal)) === undefined)
    throw refused(`destination: expected an account on the ledger, got none at ${destination}`);
  return prepare(amount, options, {
    TransactionType: 'PaymentChannelCreate',
    Account: account,
    Destination: destination,
    Amount: amount.toString(),
    SettleDelay: terms.settleDelaySeconds,
    PublicKey: upperHex(terms.publicKey),
    ...(cancelAfter !== 0 && { CancelAfter: rippleTime(cancelAfter) }),
    Flags: 0,
  });
}

/** A PaymentChannelFund, ready to be signed. Throws LEDGER_REFUSED where it would not add to a channel of this payer. */
export async function prepareFund(terms: FundingTerms, options: FundingOptions): Promise<LedgerTransaction> {
  const { connection, account, signal } = options;
  const { amount, expiration } = terms;
  const id = upperHex(terms.ledgerChannelId);
  const { ledger, channel } = await connection.channel(terms.ledgerChannelId, signal);
  if (channel === undefined) throw refused(`ledger channel ${id}: expected it on the ledger, got none`);
  if (channel.account !== account)
    throw refused(`ledger channel ${id}: expected one of ${account}, got one of ${channel.account}`);
  const end = endOf(channel);
  // A transaction that touches an expired channel closes it.
  if (end !== 0 && ledger.closedAt >= end)
    throw refused(`ledger channel ${id}: expected one that has not ended, got one that ended at ${isoTime(end)}`);
  const earliest = ledger.closedAt + channel.settleDelay;
  if (expiration !== 0 && expiration < earliest && (channel.expiration === 0 || expiration < channel.expiration))
    throw refused(`expiration: expected ${isoTime(earliest)} or later (its SettleDelay), got ${isoTime(expiration)}`);
  return prepare(amount, options, {
    TransactionType: 'PaymentChannelFund',
    Account: account,
    Channel: id,
    Amount: amount.toString(),
    ...(expiration !== 0 && { Expiration: rippleTime(expiration) }),
    Flags: 0,
  });
}

async function prepare(
  amount: bigint,
  { connection, account, feeMaxDrops, clock, signal }: FundingOptions,
  transaction: Unfilled,
): Promise<LedgerTransaction> {
  const payer = await connection.account(account, signal);
  if (payer === undefined) throw refused(`account ${account}: expected it on the ledger, got none`);
  const feeDrops = await connection.fee(signal);
  if (feeDrops > feeMaxDrops)
    throw refused(`fee: expected at most ${feeMaxDrops} drops, got ${feeDrops} now; try later, or raise --max-fee`);
  if (payer.balance < amount + feeDrops)
    throw refused(`account ${account}: expected ${amount + feeDrops} drops, got ${payer.balance}`);
  const networkId = await connection.networkId(signal);
  const ledger = connection.validated;
  if (ledger === undefined)
    throw new ClaimwireError('LEDGER_UNREACHABLE', 'ledger: expected a validated one, got none');
  const now = Math.floor(clock.wall() / 1_000);
  return fillIn(transaction, { feeDrops, sequence: payer.sequence, networkId, ledger, now });
}

/**
 * Submits a signed transaction and waits for its final result.
 * @throws ClaimwireError LEDGER_REFUSED where it is final and did not succeed, or can never be validated
 */
export async function submitFunding(
  transaction: LedgerTransaction,
  signed: SignedTransaction,
  { connection, clock, signal }: FundingOptions,
): Promise<{ ledgerChannelId: Uint8Array; final: FinalTransaction }> {
  const firstLedger = connection.validated?.index ?? 0;
  const lastLedger = transaction.LastLedgerSequence;
  const { final, preliminary } = await untilFinal(
    { ...signed, firstLedger, lastLedger },
    { connection, clock, signal },
  );
  if (final === 'never')
    throw refused(`${signed.hash}: expected it validated, got nothing up to ledger ${lastLedger} (${preliminary})`);
  if (final.result !== 'tesSUCCESS') throw refused(`${signed.hash}: expected tesSUCCESS, got ${final.result}`);
  const expected = channelOf(transaction);
  const touched = final.channel;
  if (touched === undefined || touched.deleted || upperHex(touched.ledgerChannelId) !== upperHex(expected))
    throw refused(
      `${signed.hash}: expected channel ${upperHex(expected)} in its metadata, got ${touched === undefined ? 'none' : `${upperHex(touched.ledgerChannelId)}${touched.deleted ? ', closed' : ''}`}`,
    );
  return { ledgerChannelId: expected, final };
}

/** The channel that a Create makes, or that a Fund names. */
export function channelOf({ Account, Destination, Sequence, Channel }: LedgerTransaction): Uint8Array {
  if (typeof Channel === 'string') return new Uint8Array(Buffer.from(Channel, 'hex'));
  return ledgerChannelIdOf(Account, String(Destination), Sequence);
}

function refused(message: string): ClaimwireError {
  return new ClaimwireError('LEDGER_REFUSED', message);
}
