/**
 * Payment channels as ledger servers print them, read strictly: PayChannel entries, and the metadata of transactions that
 * touched one. Pure functions. Every error is LEDGER_REFUSED and names the field.
 */
import { LEDGER_CHANNEL_ID_BYTES, PUBLIC_KEY_BYTES } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import {
  addressOf,
  dropsOf,
  type Fields,
  fieldsOf,
  hexOf,
  listOf,
  optionalTimeOf,
  refuse,
  u32Of,
} from './ledger-answer.ts';
import type { FinalTransaction, LedgerChannel } from './ledger-port.ts';

const PAY_CHANNEL = 'PayChannel';
const HASH_HEX_DIGITS = 64;

/** A PayChannel entry, as `ledger_entry` and `account_objects` have it. */
export function parseLedgerChannel(value: unknown): LedgerChannel {
  const entry = fieldsOf(value, 'PayChannel');
  if (entry.LedgerEntryType !== PAY_CHANNEL) refuse('LedgerEntryType', PAY_CHANNEL, entry.LedgerEntryType);
  // No fault of the server, so it names no field.
  if (isOtherAsset(entry))
    throw new ClaimwireError('LEDGER_REFUSED', 'ledger channel: expected one of XRP, got one of another asset');
  const amount = dropsOf(entry.Amount, 'Amount');
  const balance = dropsOf(entry.Balance, 'Balance');
  if (balance > amount) refuse('Balance', `at most the Amount of ${amount}`, entry.Balance);
  return {
    ledgerChannelId: hexOf(entry.index, LEDGER_CHANNEL_ID_BYTES, 'index'),
    account: addressOf(entry.Account, 'Account'),
    destination: addressOf(entry.Destination, 'Destination'),
    publicKey: hexOf(entry.PublicKey, PUBLIC_KEY_BYTES, 'PublicKey'),
    amount,
    balance,
    settleDelay: u32Of(entry.SettleDelay, 'SettleDelay'),
    expiration: optionalTimeOf(entry.Expiration, 'Expiration'),
    cancelAfter: optionalTimeOf(entry.CancelAfter, 'CancelAfter'),
  };
}

/** Whether an entry's deposit is not in XRP, which ledgers write as an object. */
function isOtherAsset({ Amount }: Fields): boolean {
  return typeof Amount === 'object' && Amount !== null;
}

/**
 * The channels of a list's page. An entry that is not read, such as a channel of another asset, is counted: the others must not
 * be lost with it. Throws where the answer as a whole is not a list of channels.
 */
export function parseLedgerChannels(list: unknown): { channels: LedgerChannel[]; skipped: number } {
  const channels: LedgerChannel[] = [];
  let skipped = 0;
  for (const object of listOf(list, 'account_objects')) {
    const entry = fieldsOf(object, PAY_CHANNEL);
    if (entry.LedgerEntryType !== PAY_CHANNEL) refuse('LedgerEntryType', PAY_CHANNEL, entry.LedgerEntryType);
    hexOf(entry.index, LEDGER_CHANNEL_ID_BYTES, 'index');
    try {
      channels.push(parseLedgerChannel(entry));
    } catch (error) {
      if (!(error instanceof ClaimwireError)) throw error;
      skipped++;
    }
  }
  return { channels, skipped };
}

/** What a validated transaction did to a payment channel. */
export interface TouchedChannel {
  ledgerChannelId: Uint8Array;
  account: string;
  destination: string;
  amount: bigint;
  /** Drops paid out in all, once the transaction was applied. */
  balance: bigint;
  deleted: boolean;
}

/** The payment channels in a transaction's metadata. Only metadata says what was paid; a result code does not. */
export function touchedChannels(meta: unknown): TouchedChannel[] {
  const touched: TouchedChannel[] = [];
  for (const wrapped of listOf(fieldsOf(meta, 'meta').AffectedNodes, 'AffectedNodes')) {
    const kinds = Object.entries(fieldsOf(wrapped, 'AffectedNodes'));
    if (kinds.length !== 1) refuse('AffectedNodes', 'one kind of change for each', wrapped);
    const [kind, node] = kinds[0]!;
    const fields = fieldsOf(node, kind);
    if (fields.LedgerEntryType !== PAY_CHANNEL) continue;
    const channel = touchedChannel(kind, fields);
    if (channel !== undefined) touched.push(channel);
  }
  return touched;
}

/** Undefined for a channel of another asset. */
function touchedChannel(kind: string, node: Fields): TouchedChannel | undefined {
  const deleted = kind === 'DeletedNode';
  if (!deleted && kind !== 'ModifiedNode' && kind !== 'CreatedNode')
    refuse('AffectedNodes', 'CreatedNode, ModifiedNode or DeletedNode', kind);
  const created = kind === 'CreatedNode';
  const fields = fieldsOf(created ? node.NewFields : node.FinalFields, created ? 'NewFields' : 'FinalFields');
  if (isOtherAsset(fields)) return undefined;
  // A new entry's fields leave out what is zero.
  const balance = created ? (fields.Balance ?? '0') : fields.Balance;
  return {
    ledgerChannelId: hexOf(node.LedgerIndex, LEDGER_CHANNEL_ID_BYTES, 'LedgerIndex'),
    account: addressOf(fields.Account, 'Account'),
    destination: addressOf(fields.Destination, 'Destination'),
    amount: dropsOf(fields.Amount, 'Amount'),
    balance: dropsOf(balance, 'Balance'),
    deleted,
  };
}

/** The answer to `tx` where it is final; undefined where it is not validated. */
export function parseFinalTransaction(answer: Fields, hash: string): FinalTransaction | undefined {
  if (answer.validated !== true) return undefined;
  if (answer.hash !== hash) refuse('hash', hash, answer.hash);
  const meta = fieldsOf(answer.meta, 'meta');
  const result = meta.TransactionResult;
  // Only these two kinds are ever in a ledger.
  if (typeof result !== 'string' || !/^te[sc][A-Za-z0-9_]{1,40}$/.test(result))
    refuse('TransactionResult', 'tesSUCCESS or a code beginning tec', result);
  const channels = touchedChannels(meta);
  const named = fieldsOf(answer.tx_json ?? {}, 'tx_json').Channel;
  const channel =
    named === undefined
      ? channels[0]
      : channels.find(({ ledgerChannelId }) => Buffer.from(ledgerChannelId).toString('hex').toUpperCase() === named);
  const final = { hash, ledgerIndex: u32Of(answer.ledger_index, 'ledger_index'), result };
  if (channel === undefined) return final;
  const { ledgerChannelId, amount, balance, deleted } = channel;
  return { ...final, channel: { ledgerChannelId, amount, balance, deleted } };
}

/** A transaction's hash as the ledger writes it. Throws LEDGER_REFUSED. */
export function transactionHashOf(text: string): string {
  const hash = text.toUpperCase();
  return hash.length === HASH_HEX_DIGITS && /^[0-9A-F]+$/.test(hash) ? hash : refuse('hash', '64 hex digits', text);
}
