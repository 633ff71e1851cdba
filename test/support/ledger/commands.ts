/**
 * The answers of the test ledger's servers, in the shapes of rippled's API version 2, which xrpl.js asks for. Fields that
 * nothing here reads (tree hashes, peers, load in detail) are left out.
 */

import { type Chain, channelsOf, type Ledger, RIPPLE_EPOCH } from './chain.ts';
import { accountIndex, type ChannelEntry, type Entry } from './entries.ts';

export type Fields = Record<string, unknown>;

/** What a server shows of the chain. */
export interface View {
  readonly chain: Chain;
  /** Index of the newest ledger that the server holds for validated. */
  readonly validatedIndex: number;
  /** Every answer comes from a fork that will never be validated, and says so. */
  readonly fork: boolean;
  /** Ledgers that the server no longer has. */
  readonly forgotten: ReadonlySet<number>;
}

/** An error as rippled answers it; what it looked at stands beside it. */
export class CommandError extends Error {
  readonly error: string;
  readonly looked: Fields;

  constructor(error: string, message: string, looked: Fields = {}) {
    super(message);
    this.error = error;
    this.looked = looked;
  }
}

const PAGE_MAX = 400;
const PAGE_DEFAULT = 200;
const PAGE_MIN = 10;
const DROPS_PER_XRP = 1_000_000;

export const COMMANDS: Record<string, (view: View, request: Fields) => Fields> = {
  account_channels: accountChannels,
  account_info: accountInfo,
  account_objects: accountObjects,
  fee,
  ledger,
  ledger_current: (view) => ({ ledger_current_index: view.chain.open.index }),
  ledger_entry: ledgerEntry,
  ping: () => ({}),
  server_info: serverInfo,
  server_state: serverState,
  submit,
  tx,
};

export function isoTime(closeTime: number): string {
  return new Date((closeTime + RIPPLE_EPOCH) * 1000).toISOString().replace('.000Z', 'Z');
}

export function completeLedgers({ chain, validatedIndex, forgotten }: View): string {
  const ranges: string[] = [];
  let from: number | undefined;
  for (let index = chain.ledgers[0]!.index; index <= validatedIndex + 1; index += 1) {
    const known = index <= validatedIndex && !forgotten.has(index);
    if (known) from ??= index;
    if (known || from === undefined) continue;
    ranges.push(from === index - 1 ? String(from) : `${from}-${index - 1}`);
    from = undefined;
  }
  return ranges.length === 0 ? 'empty' : ranges.join(',');
}

/** The ledger that a request names, and what an answer says of it. */
function looked(view: View, request: Fields): { ledger: Ledger; about: Fields } {
  const { chain, validatedIndex } = view;
  const named = request.ledger_index ?? 'current';
  if (view.fork || named === 'current')
    return {
      ledger: view.fork ? chain.fork : chain.open,
      about: { ledger_current_index: chain.open.index, validated: false },
    };
  let found: Ledger | undefined;
  if (typeof request.ledger_hash === 'string') found = chain.ledgers.find(({ hash }) => hash === request.ledger_hash);
  else if (named === 'validated') found = chain.ledger(validatedIndex);
  else if (named === 'closed') found = chain.last;
  else if (typeof named === 'number') found = chain.ledger(named);
  else throw new CommandError('invalidParams', 'ledgerIndexMalformed');
  if (found === undefined || view.forgotten.has(found.index)) throw new CommandError('lgrNotFound', 'ledgerNotFound');
  const validated = found.index <= validatedIndex;
  return { ledger: found, about: { ledger_hash: found.hash, ledger_index: found.index, validated } };
}

function accountOf(request: Fields, { ledger, about }: ReturnType<typeof looked>): Entry {
  if (typeof request.account !== 'string') throw new CommandError('invalidParams', "Missing field 'account'.");
  let entry: Entry | undefined;
  try {
    entry = ledger.state.get(accountIndex(request.account));
  } catch {
    throw new CommandError('actMalformed', 'Account malformed.', about);
  }
  if (entry === undefined) throw new CommandError('actNotFound', 'Account not found.', about);
  return entry;
}

function accountInfo(view: View, request: Fields): Fields {
  const found = looked(view, request);
  return { account_data: accountOf(request, found), ...found.about };
}

/** A page of `items`, in order of their ids. The marker names the last one shown. */
function page<Item extends { index: string }>(all: Item[], request: Fields): { items: Item[]; more: Fields } {
  const wanted = typeof request.limit === 'number' ? request.limit : PAGE_DEFAULT;
  const limit = Math.min(Math.max(wanted, PAGE_MIN), PAGE_MAX);
  const after = request.marker;
  if (after !== undefined && typeof after !== 'string') throw new CommandError('invalidParams', 'Invalid marker.');
  const rest = all
    .filter(({ index }) => after === undefined || index > after)
    .sort((left, right) => (left.index < right.index ? -1 : 1));
  const items = rest.slice(0, limit);
  return { items, more: { limit, ...(rest.length > limit && { marker: items.at(-1)!.index }) } };
}

function accountObjects(view: View, request: Fields): Fields {
  const found = looked(view, request);
  accountOf(request, found);
  if (request.type !== undefined && request.type !== 'payment_channel')
    throw new CommandError('invalidParams', "Invalid field 'type'.");
  const mine = channelsOf(found.ledger.state).filter(
    ({ Account, Destination }) => Account === request.account || Destination === request.account,
  );
  const { items, more } = page(mine, request);
  return { account: request.account, account_objects: items, ...more, ...found.about };
}

function accountChannels(view: View, request: Fields): Fields {
  const found = looked(view, request);
  accountOf(request, found);
  const mine = channelsOf(found.ledger.state).filter(
    ({ Account, Destination }) =>
      Account === request.account &&
      (request.destination_account === undefined || Destination === request.destination_account),
  );
  const { items, more } = page(mine, request);
  return { account: request.account, channels: items.map(listedChannel), ...more, ...found.about };
}

function listedChannel(channel: ChannelEntry): Fields {
  return {
    account: channel.Account,
    amount: channel.Amount,
    balance: channel.Balance,
    channel_id: channel.index,
    destination_account: channel.Destination,
    public_key_hex: channel.PublicKey,
    settle_delay: channel.SettleDelay,
    ...(channel.Expiration !== undefined && { expiration: channel.Expiration }),
    ...(channel.CancelAfter !== undefined && { cancel_after: channel.CancelAfter }),
  };
}

function ledgerEntry(view: View, request: Fields): Fields {
  const { ledger: shown, about } = looked(view, request);
  const index = request.payment_channel ?? request.index;
  if (typeof index !== 'string' || !/^[0-9A-F]{64}$/.test(index))
    throw new CommandError('malformedRequest', 'Malformed request.');
  const node = shown.state.get(index);
  if (node === undefined) throw new CommandError('entryNotFound', 'Requested ledger entry not found.', about);
  return { index, node, ...about };
}

function ledger(view: View, request: Fields): Fields {
  const { ledger: shown, about } = looked(view, request);
  const { index, hash, parentHash, closeTime, parentCloseTime } = shown;
  const closed = about.ledger_hash !== undefined;
  return {
    ledger: {
      closed,
      ledger_index: index,
      parent_hash: parentHash,
      ...(closed && {
        ledger_hash: hash,
        close_time: closeTime,
        close_time_iso: isoTime(closeTime),
        parent_close_time: parentCloseTime,
        close_time_resolution: 10,
        close_flags: 0,
      }),
    },
    ...about,
  };
}

function fee({ chain }: View): Fields {
  const base = String(chain.rules.baseFee);
  const open = String(chain.rules.baseFee * BigInt(chain.loadFactor));
  return {
    current_ledger_size: String(chain.open.transactions.length),
    current_queue_size: '0',
    drops: { base_fee: base, median_fee: '5000', minimum_fee: base, open_ledger_fee: open },
    expected_ledger_size: '1000',
    ledger_current_index: chain.open.index,
    levels: { median_level: '128000', minimum_level: '256', open_ledger_level: '256', reference_level: '256' },
    max_queue_size: '20000',
  };
}

function serverCommon(view: View): Fields {
  const { chain } = view;
  const networkId = chain.rules.networkId;
  return {
    build_version: '2.5.0',
    complete_ledgers: completeLedgers(view),
    network_id: networkId,
    peers: 20,
    server_state: 'full',
    validation_quorum: 28,
  };
}

function serverInfo(view: View): Fields {
  const { rules, loadFactor } = view.chain;
  const newest = view.chain.ledger(view.validatedIndex)!;
  const xrp = (drops: bigint) => Number(drops) / DROPS_PER_XRP;
  const validated = {
    age: 0,
    base_fee_xrp: xrp(rules.baseFee),
    hash: newest.hash,
    reserve_base_xrp: xrp(rules.reserveBase),
    reserve_inc_xrp: xrp(rules.reserveIncrement),
    seq: newest.index,
  };
  return { info: { ...serverCommon(view), load_factor: loadFactor, validated_ledger: validated } };
}

function serverState(view: View): Fields {
  const { rules, loadFactor } = view.chain;
  const newest = view.chain.ledger(view.validatedIndex)!;
  const validated = {
    base_fee: Number(rules.baseFee),
    close_time: newest.closeTime,
    hash: newest.hash,
    reserve_base: Number(rules.reserveBase),
    reserve_inc: Number(rules.reserveIncrement),
    seq: newest.index,
  };
  const load = { load_base: 256, load_factor: 256 * loadFactor };
  return { state: { ...serverCommon(view), ...load, validated_ledger: validated } };
}

function submit(view: View, request: Fields): Fields {
  const blob = request.tx_blob;
  if (typeof blob !== 'string') throw new CommandError('invalidParams', "Missing field 'tx_blob'.");
  const submitted = view.chain.submit(blob.toUpperCase());
  if (submitted === undefined) throw new CommandError('invalidTransaction', 'fails local checks: Invalid signature.');
  const { code, hash, tx: fields } = submitted;
  const applied = /^te[sc]/.test(code);
  return {
    accepted: applied || code.startsWith('ter'),
    applied,
    broadcast: applied,
    engine_result: code,
    engine_result_code: code === 'tesSUCCESS' ? 0 : -1,
    engine_result_message:
      code === 'tesSUCCESS' ? 'The transaction was applied. Only final in a validated ledger.' : code,
    kept: applied || code.startsWith('ter'),
    queued: false,
    tx_blob: blob,
    tx_json: { ...fields, hash },
    validated_ledger_index: view.validatedIndex,
  };
}

function tx(view: View, request: Fields): Fields {
  const hash = request.transaction;
  if (typeof hash !== 'string') throw new CommandError('invalidParams', 'Invalid parameters.');
  const { chain } = view;
  const fork = view.fork ? chain.fork.transactions.find((applied) => applied.hash === hash) : undefined;
  const found = fork ?? chain.find(hash) ?? chain.open.transactions.find((applied) => applied.hash === hash);
  if (found === undefined || view.forgotten.has(found.ledgerIndex))
    throw new CommandError('txnNotFound', 'Transaction not found.', { searched_all: false });
  const validated = !view.fork && found.ledgerIndex <= view.validatedIndex;
  const closed = chain.ledger(found.ledgerIndex);
  return {
    hash,
    tx_json: { ...found.tx, date: closed?.closeTime, ledger_index: found.ledgerIndex },
    ...((closed !== undefined || fork !== undefined) && { meta: found.meta, ledger_index: found.ledgerIndex }),
    ...(closed !== undefined && { close_time_iso: isoTime(closed.closeTime), ledger_hash: closed.hash }),
    validated,
  };
}
