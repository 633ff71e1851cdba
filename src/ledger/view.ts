/**
 * What a node knows of a channel on the ledger, its form in the side tables, and the rules that follow from it. Pure
 * functions, main thread. Amounts in drops; times in Unix seconds by the ledger's clock, 0 = never.
 */
import { defaultChannelId, isoTime, upperHex } from '../channel/parse.ts';
import { earlier } from '../channel/row.ts';
import type { LedgerState } from '../control/ledger-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { LedgerChannel, ValidatedLedger } from './ledger-port.ts';

/**
 * What the node's channel was brought to. Where it is found otherwise, its operator changed it: a lower capacity or an earlier
 * expiry than the ledger's is kept as a limit, and anything else takes the limit back.
 */
export interface Followed {
  capacity: bigint;
  expiresAt: number;
  /** The operator's limits; undefined where there are none. */
  capacityMax?: bigint | undefined;
  expiresAtMax?: number | undefined;
}

/** A channel as it was last seen in a validated ledger. */
export interface LedgerView extends LedgerState {
  channelId: bigint;
  ledgerChannelId: Uint8Array;
  /** The payee that the channel pays. */
  destination: string;
  /** Upper-case hex; undefined in a view that an earlier version stored, until the next look. */
  publicKey?: string | undefined;
  /** Undefined until the node's channel has followed this view once. */
  followed?: Followed | undefined;
  /** Index of the ledger in which it was seen; not stored, 0 after a restart. */
  ledgerIndex: number;
  /** By how many seconds this machine's clock was behind the ledger's when it was seen. */
  clockBehind: number;
}

/** When and by which clock something was seen. */
export type Sight = Pick<LedgerView, 'seenAt' | 'ledgerIndex' | 'clockBehind'>;

/** A redemption needs this long: for fees that rise, servers that are behind, a second try. Claims are refused that long before the end. */
const MARGIN_SECONDS_MAX = 600;
/** Of a short SettleDelay it is a quarter. */
const MARGIN_PART = 4;
/**
 * Ten years. The ledger adds SettleDelay to its time in 32 bits: with a very long one the sum begins again at 0, and a payer's
 * close ends the channel at once.
 */
const SETTLE_DELAY_MAX = 315_360_000;
/** The last second that a row can hold, in the year 2106; the ledger's times go further. */
const TIME_MAX = 0xffff_ffff;

function marginOf({ settleDelay }: Pick<LedgerState, 'settleDelay'>): number {
  return Math.min(MARGIN_SECONDS_MAX, Math.floor(settleDelay / MARGIN_PART));
}

/** The channel's end as the ledger has it: the earlier of Expiration and CancelAfter; 0 = never. */
export function endOf({ expiration, cancelAfter }: Pick<LedgerState, 'expiration' | 'cancelAfter'>): number {
  return Math.min(earlier(expiration, cancelAfter), TIME_MAX);
}

/**
 * Until when claims may be accepted, by this machine's clock: as long as each can still be redeemed. The payer may have asked
 * to close right after the channel was seen, so that without newer news it may end SettleDelay later.
 */
export function acceptUntil(view: LedgerView): number {
  if (!view.exists) return 1;
  const end = earlier(endOf(view), view.seenAt + view.settleDelay);
  return Math.max(1, end - marginOf(view) - view.clockBehind);
}

/** The operator's limits in a channel of the node, beside what the ledger says of it. */
export function limitsOf(
  { capacity, expiresAt }: Pick<Followed, 'capacity' | 'expiresAt'>,
  view: LedgerView,
): Pick<Followed, 'capacityMax' | 'expiresAtMax'> {
  const end = endOf(view);
  return {
    ...(capacity < view.deposited && { capacityMax: capacity }),
    ...(expiresAt !== 0 && (end === 0 || expiresAt < end) && { expiresAtMax: expiresAt }),
  };
}

export function viewOf(channel: LedgerChannel, sight: Sight): LedgerView {
  const { ledgerChannelId, destination, settleDelay, expiration, cancelAfter } = channel;
  return {
    ...sight,
    channelId: defaultChannelId(ledgerChannelId),
    ledgerChannelId,
    destination,
    publicKey: upperHex(channel.publicKey),
    deposited: channel.amount,
    redeemed: channel.balance,
    settleDelay,
    expiration,
    cancelAfter,
    exists: true,
  };
}

/** What is asked of a channel before it is opened. */
export interface OpeningTerms {
  account: string;
  minSettleDelaySeconds: number;
}

/** Why a channel of the ledger is not opened; undefined where it is. */
export function openingFault(channel: LedgerChannel, sight: Sight, terms: OpeningTerms): string | undefined {
  const view = viewOf(channel, sight);
  const { account, minSettleDelaySeconds } = terms;
  if (channel.destination !== account)
    return `expected one that pays ${account}, got one that pays ${channel.destination}: its claims are worth nothing here`;
  if (channel.settleDelay < minSettleDelaySeconds)
    return `expected a SettleDelay of at least ${minSettleDelaySeconds} s, got ${channel.settleDelay} s: its payer could close it before its claims are redeemed; ask for a new channel, or lower --min-settle-delay`;
  if (channel.settleDelay > SETTLE_DELAY_MAX)
    return `expected a SettleDelay of at most ${SETTLE_DELAY_MAX} s, got ${channel.settleDelay} s: added to the ledger's time it may overflow, and the channel would end as soon as its payer closes it`;
  if (channel.balance >= channel.amount)
    return `expected drops that are not paid out, got all ${channel.amount} paid; its payer may deposit more`;
  const end = endOf(view);
  if (end !== 0 && acceptUntil(view) <= sight.seenAt - sight.clockBehind)
    return `expected one that ends more than ${marginOf(view)} s from now, got one that ends at ${isoTime(end)}: its claims could not be redeemed in time`;
  return undefined;
}

/** Now, as a ledger is seen. @param nowSeconds by the clock that channels expire by */
export function sightOf({ index, closedAt }: ValidatedLedger, nowSeconds: number): Sight {
  return { seenAt: closedAt, ledgerIndex: index, clockBehind: Math.max(0, closedAt - nowSeconds) };
}

/** A stored view is this byte and JSON. */
const VERSION = 1;

export function encodeView(view: LedgerView): Uint8Array {
  const { ledgerChannelId: _key, ledgerIndex: _index, channelId, deposited, redeemed, followed, ...plain } = view;
  const texts = { channelId: String(channelId), deposited: String(deposited), redeemed: String(redeemed) };
  return versioned({ ...texts, ...plain, ...(followed !== undefined && { followed: followedText(followed) }) });
}

function followedText({ capacity, capacityMax, expiresAt, expiresAtMax }: Followed): object {
  return { capacity: String(capacity), capacityMax: capacityMax?.toString(), expiresAt, expiresAtMax };
}

export function decodeView(key: Uint8Array, value: Uint8Array): LedgerView {
  const { channelId, deposited, redeemed, followed, ...plain } = unversioned(
    value,
    `view of ${upperHex(key)}`,
  ) as Record<string, string> & { followed?: ReturnType<typeof followedText> };
  const amounts = { channelId: BigInt(channelId!), deposited: BigInt(deposited!), redeemed: BigInt(redeemed!) };
  const view = { ...(plain as unknown as LedgerView), ...amounts, ledgerChannelId: key, ledgerIndex: 0 };
  if (followed === undefined) return view;
  const { capacity, capacityMax, ...times } = followed as Record<keyof Followed, string>;
  const max = capacityMax === undefined ? {} : { capacityMax: BigInt(capacityMax) };
  return { ...view, followed: { ...(times as unknown as Followed), capacity: BigInt(capacity), ...max } };
}

/** JSON behind a version byte. */
export function versioned(value: object): Uint8Array {
  return Buffer.concat([Uint8Array.of(VERSION), Buffer.from(JSON.stringify(value))]);
}

/** Throws REGISTRY_CORRUPT where a later version has written the value. */
export function unversioned(value: Uint8Array, what: string): unknown {
  if (value[0] === VERSION) return JSON.parse(Buffer.from(value.subarray(1)).toString());
  const message = `side tables: ${what}: expected version ${VERSION}, got ${value[0]}; start the claimwire that wrote it`;
  throw new ClaimwireError('REGISTRY_CORRUPT', message);
}
