/**
 * Control messages: what requests and replies hold, and the checks of them (README.md, "Control messages").
 *
 * Any value that a peer made can come in here. The checks never throw, and copy the fields that they know into a new
 * object, so that an unknown field goes no further. Amounts and u64 handles are decimal strings,
 * bytes are hex, written in upper case and read in either: the same text as in the admin interface's JSON, and exact in
 * every language.
 */
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { LEDGER_CHANNEL_ID_BYTES, type ProfileName } from './layout.ts';

/** The version that `hello` agrees on. */
export const PROTOCOL_VERSION = 1;
/** The most MessagePack bytes of a request; a reply may fill a payload. */
export const CONTROL_REQUEST_BYTES_MAX = 4_096;
/** The most requests of one connection that may wait for their replies. */
export const CONTROL_OUTSTANDING_MAX = 16;
/** The most requests that are read from a connection in a second; the rest of its stream waits for the next second. */
export const CONTROL_PER_SECOND_MAX = 64;
/** Length of the nonce that `hello` returns and `resume` signs. */
export const RESUME_NONCE_BYTES = 16;

/** The codes of refusals. A node adds the codes of its own errors (INPUT_INVALID, CHANNEL_UNKNOWN, …). */
export const CONTROL_CODE = {
  /** The message is no MessagePack map, or a field is missing or has another form. */
  MALFORMED: 'MALFORMED',
  UNKNOWN_TYPE: 'UNKNOWN_TYPE',
  UNSUPPORTED_VERSION: 'UNSUPPORTED_VERSION',
  /** Too many requests wait: ask again a little later. */
  OVERLOADED: 'OVERLOADED',
  /** There was no answer in time; the request may still be carried out. */
  TIMED_OUT: 'TIMED_OUT',
  /** Another node of the cluster holds the channel: ask for the `route`. The refusal has the map's `version`. */
  MOVED: 'MOVED',
  /** The node is not one of a cluster: it has no route to tell. */
  NO_CLUSTER: 'NO_CLUSTER',
  /** The node was started without a key for receipts. */
  NO_RECEIPTS: 'NO_RECEIPTS',
  /** So much of the channel is not durable, or was not a moment ago. */
  RECEIPT_NOT_YET: 'RECEIPT_NOT_YET',
} as const;

/** A channel to open: the fields of the admin interface's POST /channels. */
export interface ControlOpening {
  ledgerChannelId: string;
  publicKey: string;
  capacity: string;
  profile?: ProfileName;
  expiresAt?: string | null;
  channelId?: string;
}

/** The sender chooses `id`, a u32; the reply carries it. */
export type ControlRequest =
  | { id: number; type: 'hello'; client: string; versions: number[] }
  | { id: number; type: 'open'; token: string; channel: ControlOpening }
  | { id: number; type: 'close'; token: string; channelId: string }
  | { id: number; type: 'status'; channelId: string }
  | { id: number; type: 'resume'; channelId: string; signature: string }
  | { id: number; type: 'receipt'; channelId: string; amount: string }
  | { id: number; type: 'route' }
  | { id: number; type: 'stats'; token: string };
/** What a request may ask for. */
export type ControlType = ControlRequest['type'];

/** A refusal. `code` is for programs (CONTROL_CODE), `message` for people. */
export interface ControlRefusal {
  id: number;
  ok: false;
  code: string;
  message: string;
  /** With MOVED: the version of the map of shards, a decimal u64. */
  version?: string;
}
/** A successful reply; its other fields depend on the request. */
export type ControlAnswer = { id: number; ok: true } & Record<string, unknown>;
/** The reply to a request. */
export type ControlReply = ControlAnswer | ControlRefusal;

/** The answer to `hello`. */
export interface HelloResult {
  /** The newest version both ends speak. */
  version: number;
  server: string;
  /** 32 hex digits, different for each connection, which `resume` signs. */
  nonce: string;
  profiles: ProfileName[];
  /** The ports on which the node receives claims, by transport: udp, tcp, tls. */
  transports: Record<string, number>;
  limits: Record<string, number>;
  /** From a node of a cluster alone: its name, and the version of its map of shards, a decimal u64. */
  cluster?: { node: string; version: string };
}

/** The public facts of a channel: its state, and what the ledger or an unsigned claim shows to anybody. */
export type StatusResult =
  | { state: 'unknown' }
  | { state: 'open' | 'expired' | 'closed'; profile: ProfileName; capacity: string; expiresAt: string | null };

/** The channel's best claim, for a peer that proved the right to see it. */
export interface BestClaimResult {
  channelId: string;
  committed: string;
  sequence: number;
  /** 16 hex digits, the claim's 8 timestamp bytes: a `link` signature covers them. */
  timestamp: string;
  /** 128 hex digits; null while nothing is committed. */
  signature: string | null;
}

const CLIENT_CHARACTERS_MAX = 64;
const VERSIONS_MAX = 16;
const TYPES = 'hello, open, close, status, resume, receipt, route or stats';
const U32_MAX = 0xffff_ffff;
/** A whole number without sign or leading zeros, of at most 20 digits. */
export const DECIMAL_U64: RegExp = /^(0|[1-9][0-9]{0,19})$/;
const RESUME_PREFIX = utf8ToBytes('claimwire/resume/1');

/**
 * The 66 bytes a `resume` signature covers: `"claimwire/resume/1" ‖ ledgerChannelId[32] ‖ nonce[16]`. secp256k1 signs
 * their SHA-256, Ed25519 the bytes themselves, as under the `link` profile. Throws RangeError on other sizes.
 */
export function resumePreimage(ledgerChannelId: Uint8Array, nonce: Uint8Array): Uint8Array {
  if (ledgerChannelId.length !== LEDGER_CHANNEL_ID_BYTES || nonce.length !== RESUME_NONCE_BYTES)
    throw new RangeError(
      `resume: expected ${LEDGER_CHANNEL_ID_BYTES} bytes of channel id and ${RESUME_NONCE_BYTES} of nonce, got ${ledgerChannelId.length} and ${nonce.length}`,
    );
  const preimage = new Uint8Array(RESUME_PREFIX.length + LEDGER_CHANNEL_ID_BYTES + RESUME_NONCE_BYTES);
  preimage.set(RESUME_PREFIX);
  preimage.set(ledgerChannelId, RESUME_PREFIX.length);
  preimage.set(nonce, RESUME_PREFIX.length + LEDGER_CHANNEL_ID_BYTES);
  return preimage;
}

/** The refusal of the request `id`; 0 where its id is not known. */
export function refuseControl(id: number, code: string, message: string): ControlRefusal {
  return { id, ok: false, code, message };
}

/** Returns a request of known form, or the refusal to send. The channel, token and signature are not checked here. */
export function parseControlRequest(value: unknown): ControlRequest | ControlRefusal {
  if (!isMap(value)) return refuseControl(0, CONTROL_CODE.MALFORMED, 'message: expected a MessagePack map');
  if (!isU32(value.id)) return refuseControl(0, CONTROL_CODE.MALFORMED, 'id: expected a u32');
  const { id } = value;
  const malformed = (expected: string) => refuseControl(id, CONTROL_CODE.MALFORMED, expected);
  const { type, token, channelId, channel, signature, client, versions, amount } = value;
  if (typeof type !== 'string') return malformed('type: expected a string');
  const needsToken = type === 'open' || type === 'close' || type === 'stats';
  if (needsToken && !isHex(token, 64)) return malformed('token: expected 64 hex digits');
  const needsChannelId = type === 'close' || type === 'status' || type === 'resume' || type === 'receipt';
  if (needsChannelId && !isU64Text(channelId)) return malformed('channelId: expected a u64 as a decimal string');
  switch (type) {
    case 'hello':
      if (typeof client !== 'string' || client.length > CLIENT_CHARACTERS_MAX)
        return malformed(`client: expected a string of at most ${CLIENT_CHARACTERS_MAX} characters`);
      if (!Array.isArray(versions) || versions.length > VERSIONS_MAX || !versions.every(isU32))
        return malformed(`versions: expected at most ${VERSIONS_MAX} u32s`);
      return { id, type, client, versions };
    case 'open':
      if (!isMap(channel)) return malformed('channel: expected a map');
      return { id, type, token: token as string, channel: channel as unknown as ControlOpening };
    case 'close':
      return { id, type, token: token as string, channelId: channelId as string };
    case 'status':
      return { id, type, channelId: channelId as string };
    case 'resume':
      if (!isHex(signature, 128)) return malformed('signature: expected 128 hex digits');
      return { id, type, channelId: channelId as string, signature };
    case 'receipt':
      if (!isU64Text(amount)) return malformed('amount: expected a u64 as a decimal string');
      return { id, type, channelId: channelId as string, amount };
    case 'route':
      return { id, type };
    case 'stats':
      return { id, type, token: token as string };
    default:
      return refuseControl(id, CONTROL_CODE.UNKNOWN_TYPE, `type: expected ${TYPES}`);
  }
}

/** Returns a reply, or undefined if the value is none. Only `id`, `ok`, `code`, `message` and a refusal's `version` are looked at. */
export function parseControlReply(value: unknown): ControlReply | undefined {
  if (!isMap(value) || !isU32(value.id)) return undefined;
  const { id, ok, code, message, version } = value;
  if (ok === true) return { ...value, id, ok };
  if (ok !== false || typeof code !== 'string' || typeof message !== 'string') return undefined;
  return { id, ok, code, message, ...(isU64Text(version) && { version }) };
}

/** Whether an answer to `hello` has the right form; `limits` and `transports` may hold names of later versions. */
export function isHelloResult(value: Record<string, unknown>): value is Record<string, unknown> & HelloResult {
  const { version, server, nonce, profiles, transports, limits } = value;
  return (
    isU32(version) &&
    typeof server === 'string' &&
    isHex(nonce, 2 * RESUME_NONCE_BYTES) &&
    Array.isArray(profiles) &&
    profiles.every((name) => typeof name === 'string') &&
    isNumbers(transports) &&
    isNumbers(limits)
  );
}

/** Whether an answer to `resume` or `close` has the right form. The caller still checks its signature. */
export function isBestClaimResult(value: Record<string, unknown>): value is Record<string, unknown> & BestClaimResult {
  const { channelId, committed, sequence, timestamp, signature } = value;
  return (
    isU64Text(channelId) &&
    isU64Text(committed) &&
    isU32(sequence) &&
    isHex(timestamp, 16) &&
    (committed === '0' ? signature === null : isHex(signature, 128))
  );
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function isNumbers(value: unknown): value is Record<string, number> {
  return isMap(value) && Object.values(value).every((entry) => typeof entry === 'number');
}

/** Whether a value that a peer made is a u32. */
export function isU32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= U32_MAX;
}

function isHex(value: unknown, digits: number): value is string {
  return typeof value === 'string' && value.length === digits && /^[0-9a-fA-F]+$/.test(value);
}

function isU64Text(value: unknown): value is string {
  return typeof value === 'string' && DECIMAL_U64.test(value) && BigInt(value) <= 0xffff_ffff_ffff_ffffn;
}
