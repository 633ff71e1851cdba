/**
 * Channels as JSON: strict parsers of openings, changes and rows, and the writer of rows.
 *
 * Main thread and import workers. Every error is a ClaimwireError INPUT_INVALID that names the field: "expected X, got Y".
 * Amounts and handles are decimal strings, since JSON numbers are exact only up to 2^53.
 */
import { ECDH } from 'node:crypto';
import {
  DROPS_MAX,
  ED25519_KEY_PREFIX,
  LEDGER_CHANNEL_ID_BYTES,
  type ProfileName,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  U64_MAX,
} from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import type { ChannelChange, ChannelOpening } from './changes.ts';
import { isEd25519Point, isSmallOrder } from './ed25519-point.ts';
import { type Channel, type ChannelState, hasClaim, redeemable } from './row.ts';

/** What a reader is told of a state: `expired` is an open channel whose time is over, so that its claims are refused. */
export type ShownState = ChannelState | 'expired';

/** A channel as the admin interface and the tools show it. */
export interface ChannelJson {
  channelId: string;
  /** 64 hex digits, upper-case. */
  ledgerChannelId: string;
  /** 66 hex digits, upper-case. */
  publicKey: string;
  /** Drops. */
  capacity: string;
  committed: string;
  sequence: number;
  /**
   * 128 hex digits r‖s, upper-case; null while nothing is committed, where the ledger paid a claim that this node never
   * had, or where a leaf of a signed root has stated what is committed. Absent for readers without the token.
   */
  signature?: string | null;
  /** Of a channel that leaves of signed roots have paid; absent of others. */
  rooted?: RootedJson;
  profile: ProfileName;
  state: ShownState;
  /** ISO 8601, or null for never. */
  expiresAt: string | null;
  /** True for a channel made to try a node out: it is never settled. */
  throwAway: boolean;
}

interface RootedJson {
  /** The highest claim on its own, which can be redeemed, as a leaf cannot: drops, and the rest as in the channel. */
  committed: string;
  sequence: number;
  signature?: string | null;
  /** The newest leaf, which can be proven; null where none is known here. */
  leaf: { amount: string; sequence: number } | null;
}

const OPENING_FIELDS = ['ledgerChannelId', 'publicKey', 'capacity', 'profile', 'expiresAt', 'channelId', 'throwAway'];
const CHANGE_FIELDS = ['capacity', 'expiresAt'];
const U32_MAX = 0xffff_ffff;
/** Most keys that a KeyCheck remembers: 65,536 keys take about 10 MB. */
const KEYS_MAX = 65_536;
const GOT_CHARACTERS_MAX = 80;
/** edwards25519: the field's prime, and d in −x² + y² = 1 + d·x²·y². */

function invalid(field: string, expected: string, actual: unknown): never {
  throw new ClaimwireError('INPUT_INVALID', `${field}: expected ${expected}, got ${got(actual)}`, { field });
}

/**
 * A value as text for "got …", short enough for one line. Nested values are not walked: they may be deeper than the stack.
 * Values may come from MessagePack, whose 64-bit integers are BigInts.
 */
export function got(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return `an object of ${Object.keys(value).length} fields`;
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length <= GOT_CHARACTERS_MAX ? text : `${text.slice(0, GOT_CHARACTERS_MAX)}… (${text.length} characters)`;
}

/** Bytes of a hex string of any case. Throws INPUT_INVALID. */
export function parseHex(value: unknown, byteLength: number, field: string): Uint8Array {
  const digits = byteLength * 2;
  if (typeof value !== 'string' || value.length !== digits || !/^[0-9a-fA-F]+$/.test(value))
    invalid(field, `${digits} hex digits`, value);
  return new Uint8Array(Buffer.from(value, 'hex'));
}

/** An integer as a decimal string without sign or leading zeros. Throws INPUT_INVALID. */
export function parseDecimal(value: unknown, minimum: bigint, maximum: bigint, field: string): bigint {
  const expected = `a decimal string of ${minimum}..${maximum}`;
  if (typeof value !== 'string' || !/^(0|[1-9][0-9]{0,19})$/.test(value)) invalid(field, expected, value);
  const number = BigInt(value);
  if (number < minimum || number > maximum) invalid(field, expected, value);
  return number;
}

/** Unix seconds of an ISO 8601 time with a zone, rounded down; 0 for null. Throws INPUT_INVALID. */
export function parseExpiry(value: unknown, field: string): number {
  if (value === null) return 0;
  const expected = 'an ISO 8601 time with a zone, like 2030-01-31T00:00:00Z, or null';
  if (typeof value !== 'string') invalid(field, expected, value);
  const parts = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.exec(value);
  const milliseconds = parts === null ? Number.NaN : Date.parse(value);
  // Date.parse reads 30 February as 2 March, so the day that it makes must be the day that was written.
  if (
    parts === null ||
    Number.isNaN(milliseconds) ||
    new Date(`${parts[1]}T00:00:00Z`).toISOString().slice(0, 10) !== parts[1]
  )
    invalid(field, expected, value);
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 1 || seconds > U32_MAX) invalid(field, 'a time of 1970..2106', value);
  return seconds;
}

export function isoTime(seconds: number): string | null {
  return seconds === 0 ? null : new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** Largest capacity of a profile, in drops. */
export function capacityMax(profile: ProfileName): bigint {
  return profile === 'xrpl' ? DROPS_MAX : U64_MAX;
}

/** The fields of a JSON object that has no others. Throws INPUT_INVALID. */
export function objectWith(value: unknown, fields: readonly string[], what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) invalid(what, 'a JSON object', value);
  for (const field of Object.keys(value))
    if (!fields.includes(field)) invalid(what, `only ${fields.join(', ')}`, field);
  return value as Record<string, unknown>;
}

/**
 * Checks public keys, and remembers the last KEYS_MAX valid ones, so that a key of many channels is checked once.
 */
export class KeyCheck {
  private readonly keys = new Map<string, Uint8Array>();

  /** The key's 33 bytes, shared between calls. Throws INPUT_INVALID. */
  check(value: unknown, field: string): Uint8Array {
    const known = typeof value === 'string' ? this.keys.get(value) : undefined;
    if (known !== undefined) return known;
    const key = parseHex(value, PUBLIC_KEY_BYTES, field);
    if (key[0] === ED25519_KEY_PREFIX) {
      if (!isEd25519Point(key.subarray(1))) invalid(field, 'ED and a point of the curve edwards25519', value);
      if (isSmallOrder(key, 1))
        invalid(field, 'ED and a point of the curve edwards25519 that is not of small order', value);
    } else if (key[0] !== 2 && key[0] !== 3)
      invalid(field, 'a secp256k1 key beginning 02 or 03, or an Ed25519 key beginning ED', value);
    else if (!isSecp256k1Point(key)) invalid(field, 'a point of the curve secp256k1', value);
    if (this.keys.size >= KEYS_MAX) this.keys.delete(this.keys.keys().next().value!);
    this.keys.set(value as string, key);
    return key;
  }
}

function isSecp256k1Point(key: Uint8Array): boolean {
  try {
    ECDH.convertKey(key, 'secp256k1', undefined, undefined, 'uncompressed');
    return true;
  } catch {
    return false;
  }
}

function parseProfile(value: unknown): ProfileName {
  return value === 'xrpl' || value === 'link' ? value : invalid('profile', '"xrpl" or "link"', value);
}

function parseThrowAway(value: unknown): boolean {
  const flag = value ?? false;
  return typeof flag === 'boolean' ? flag : invalid('throwAway', 'true or false', flag);
}

/**
 * An opening from parsed JSON: `{ledgerChannelId, publicKey, capacity, profile?, expiresAt?, channelId?, throwAway?}`. The
 * handle is by default the first 8 bytes of the ledger channel id.
 */
export function parseOpening(value: unknown, keys: KeyCheck = new KeyCheck()): ChannelOpening {
  const fields = objectWith(value, OPENING_FIELDS, 'channel');
  const ledgerChannelId = parseHex(fields.ledgerChannelId, LEDGER_CHANNEL_ID_BYTES, 'ledgerChannelId');
  const publicKey = keys.check(fields.publicKey, 'publicKey');
  const profile = parseProfile(fields.profile ?? 'xrpl');
  const opening: ChannelOpening = {
    channelId:
      fields.channelId === undefined
        ? defaultChannelId(ledgerChannelId)
        : parseDecimal(fields.channelId, 0n, U64_MAX, 'channelId'),
    ledgerChannelId,
    publicKey,
    capacity: parseDecimal(fields.capacity, 1n, capacityMax(profile), 'capacity'),
    profile,
    expiresAt: parseExpiry(fields.expiresAt ?? null, 'expiresAt'),
  };
  if (parseThrowAway(fields.throwAway)) opening.throwAway = true;
  return opening;
}

/** An opening in text, as the command line and the admin interface take it; numbers may be bigints. */
export interface OpeningText {
  /** 64 hex digits. */
  ledgerChannelId: string;
  /** 66 hex digits. */
  publicKey: string;
  /** Drops. */
  capacity: bigint | string;
  /** Default `xrpl`. */
  profile?: string;
  /** ISO 8601 with a zone; null or left out: never. */
  expiresAt?: string | null;
  /** Default the first 8 bytes of the ledger channel id. */
  channelId?: bigint | string;
  /** Made to try a node out. Default false. */
  throwAway?: boolean;
}

/** What was given, where it is checked already, or the opening that its text says. Throws INPUT_INVALID. */
export function openingOf(given: ChannelOpening | OpeningText, keys: KeyCheck): ChannelOpening {
  if (typeof given.ledgerChannelId !== 'string') return given as ChannelOpening;
  const { channelId, capacity, ...rest } = given as OpeningText;
  const handle = channelId === undefined ? {} : { channelId: String(channelId) };
  return parseOpening({ ...rest, ...handle, capacity: String(capacity) }, keys);
}

/** A change from parsed JSON: `{capacity?, expiresAt?}`, at least one; `profile` is the channel's. */
export function parseChange(value: unknown, profile: ProfileName): ChannelChange {
  const fields = objectWith(value, CHANGE_FIELDS, 'change');
  const change: ChannelChange = {};
  if (fields.capacity !== undefined)
    change.capacity = parseDecimal(fields.capacity, 1n, capacityMax(profile), 'capacity');
  if (fields.expiresAt !== undefined) change.expiresAt = parseExpiry(fields.expiresAt, 'expiresAt');
  if (Object.keys(change).length === 0) invalid('change', 'capacity or expiresAt', value);
  return change;
}

/** The u64 handle a channel has unless another is given: the first 8 bytes of its ledger id. */
export function defaultChannelId(ledgerChannelId: Uint8Array): bigint {
  return new DataView(ledgerChannelId.buffer, ledgerChannelId.byteOffset, 8).getBigUint64(0);
}

export function upperHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex').toUpperCase();
}

/** The state of a channel as it is shown at a time, in seconds since 1970. */
export function stateAt({ state, expiresAt }: Channel, nowSeconds: number): ShownState {
  return state === 'open' && expiresAt !== 0 && nowSeconds >= expiresAt ? 'expired' : state;
}

/** @param nowSeconds the time by which channels expire; left out, none is shown as expired */
export function channelJson(channel: Channel, withSignature = true, nowSeconds = 0): ChannelJson {
  const own = redeemable(channel);
  const signature = own.committed !== 0n && hasClaim(channel) ? upperHex(channel.signature) : null;
  const { rooted } = channel;
  return {
    channelId: channel.channelId.toString(),
    ledgerChannelId: upperHex(channel.ledgerChannelId),
    publicKey: upperHex(channel.publicKey),
    capacity: channel.capacity.toString(),
    committed: channel.committed.toString(),
    sequence: channel.sequence,
    ...(withSignature && { signature: own.committed === channel.committed ? signature : null }),
    ...(rooted !== undefined && { rooted: rootedJson(rooted, withSignature ? { signature } : {}) }),
    profile: channel.profile,
    state: stateAt(channel, nowSeconds),
    expiresAt: isoTime(channel.expiresAt),
    throwAway: channel.throwAway ?? false,
  };
}

function rootedJson(
  { committed, sequence, leaf }: NonNullable<Channel['rooted']>,
  signature: Pick<RootedJson, 'signature'>,
): RootedJson {
  const newest = leaf === undefined ? null : { amount: leaf.amount.toString(), sequence: leaf.sequence };
  return { committed: committed.toString(), sequence, ...signature, leaf: newest };
}

/** The claim to redeem of a channel with leaves, from its JSON. */
function parseRooted(
  value: unknown,
  committed: bigint,
): { rooted: NonNullable<Channel['rooted']>; signature: Uint8Array } {
  const fields = objectWith(value, ['committed', 'sequence', 'signature', 'leaf'], 'rooted');
  const own = parseDecimal(fields.committed, 0n, committed, 'rooted.committed');
  const { sequence } = fields;
  if (typeof sequence !== 'number' || sequence !== sequence >>> 0) invalid('rooted.sequence', 'a u32', sequence);
  const hasNone = own === 0n || fields.signature === null;
  return {
    rooted: { committed: own, sequence, timestampBits: 0n },
    signature: hasNone
      ? new Uint8Array(SIGNATURE_BYTES)
      : parseHex(fields.signature, SIGNATURE_BYTES, 'rooted.signature'),
  };
}

/**
 * A channel from its JSON, in which the best claim's timestamp is missing and becomes 0. An expired one is an open one with
 * its `expiresAt`. Throws INPUT_INVALID: a malformed
 * answer of another program must not become a transaction on the ledger.
 */
export function parseRow(value: unknown): Channel {
  if (typeof value !== 'object' || value === null) invalid('row', 'a JSON object', value);
  const row = value as Partial<Record<keyof ChannelJson, unknown>>;
  const profile = parseProfile(row.profile);
  const state = row.state === 'expired' ? 'open' : row.state;
  if (state !== 'open' && state !== 'closed') invalid('state', '"open", "expired" or "closed"', row.state);
  const sequence = row.sequence;
  if (typeof sequence !== 'number' || sequence !== sequence >>> 0) invalid('sequence', 'a u32', sequence);
  const capacity = parseDecimal(row.capacity, 1n, capacityMax(profile), 'capacity');
  const committed = parseDecimal(row.committed, 0n, capacity, 'committed');
  const channel: Channel = {
    channelId: parseDecimal(row.channelId, 0n, U64_MAX, 'channelId'),
    ledgerChannelId: parseHex(row.ledgerChannelId, LEDGER_CHANNEL_ID_BYTES, 'ledgerChannelId'),
    publicKey: parseHex(row.publicKey, PUBLIC_KEY_BYTES, 'publicKey'),
    capacity,
    committed,
    sequence,
    timestampBits: 0n,
    signature:
      committed === 0n || row.signature === null
        ? new Uint8Array(SIGNATURE_BYTES)
        : parseHex(row.signature, SIGNATURE_BYTES, 'signature'),
    profile,
    state,
    expiresAt: parseExpiry(row.expiresAt, 'expiresAt'),
  };
  if (parseThrowAway(row.throwAway)) channel.throwAway = true;
  return row.rooted === undefined ? channel : { ...channel, ...parseRooted(row.rooted, committed) };
}
