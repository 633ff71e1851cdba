/**
 * What the test ledger's ledgers consist of: accounts and payment channels as rippled prints them in JSON, under the ids
 * that the XRP Ledger gives them. Entries are never changed in place, so that ledgers may share them.
 */
import { createHash } from 'node:crypto';
import { decodeAccountID } from 'ripple-address-codec';

/** Namespaces of ledger entries' ids, and the prefix of transactions' hashes. */
const ACCOUNT_SPACE = 0x61;
const CHANNEL_SPACE = 0x78;
const TRANSACTION_PREFIX = '54584E00';

interface Threaded {
  Flags: number;
  PreviousTxnID: string;
  PreviousTxnLgrSeq: number;
  index: string;
}

export interface AccountEntry extends Threaded {
  LedgerEntryType: 'AccountRoot';
  Account: string;
  /** Drops, a decimal string. */
  Balance: string;
  OwnerCount: number;
  Sequence: number;
}

export interface ChannelEntry extends Threaded {
  LedgerEntryType: 'PayChannel';
  Account: string;
  Destination: string;
  /** Drops deposited, and drops paid out. */
  Amount: string;
  Balance: string;
  PublicKey: string;
  SettleDelay: number;
  /** Seconds since 2000-01-01. */
  Expiration?: number;
  CancelAfter?: number;
  SourceTag?: number;
  DestinationTag?: number;
  OwnerNode: string;
  DestinationNode: string;
}

export type Entry = AccountEntry | ChannelEntry;
/** Entries by id. */
export type State = ReadonlyMap<string, Entry>;

/** A signed transaction as ripple-binary-codec decodes it. */
export interface Transaction {
  TransactionType: string;
  Account: string;
  Sequence: number;
  Fee: string;
  SigningPubKey: string;
  TxnSignature: string;
  Flags?: number;
  LastLedgerSequence?: number;
  NetworkID?: number;
  TicketSequence?: number;
  Amount?: string;
  Balance?: string;
  Destination?: string;
  DestinationTag?: number;
  SourceTag?: number;
  SettleDelay?: number;
  PublicKey?: string;
  CancelAfter?: number;
  Expiration?: number;
  Channel?: string;
  Signature?: string;
}

/** The first half of SHA-512, as upper-case hex. */
export function sha512Half(...parts: (Uint8Array | string)[]): string {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(typeof part === 'string' ? Buffer.from(part, 'hex') : part);
  return hash.digest('hex').slice(0, 64).toUpperCase();
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

export function accountIndex(address: string): string {
  return sha512Half(u16(ACCOUNT_SPACE), decodeAccountID(address));
}

export function channelIndex(source: string, destination: string, sequence: number): string {
  return sha512Half(u16(CHANNEL_SPACE), decodeAccountID(source), decodeAccountID(destination), u32(sequence));
}

export function transactionHash(blob: string): string {
  return sha512Half(TRANSACTION_PREFIX, blob);
}
