/**
 * A channel as an object, and as its registry row: 176 bytes, little-endian, ending in a CRC-32 of the rest.
 *
 * Main thread only (admin, registry, checkpoints); the claim path uses the channel table instead.
 */
import { crc32 } from 'node:zlib';
import { type ProfileName, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../../protocol/layout.ts';

/** A `removed` channel is found under no handle; its row stays until another channel reuses it. */
export type ChannelState = 'open' | 'closed' | 'removed';

/**
 * Everything known of a channel. Amounts are in drops; the signature is that of the claim which stated `committed`, or, where there is
 * `rooted`, of the one which that states.
 */
export interface Channel {
  /** u64 handle on the wire; by default the first 8 bytes of the ledger channel id. */
  channelId: bigint;
  /** 32 bytes. */
  ledgerChannelId: Uint8Array;
  /** 33 bytes, compressed secp256k1 (02/03) or Ed25519 (ED). */
  publicKey: Uint8Array;
  capacity: bigint;
  committed: bigint;
  sequence: number;
  /** The best claim's timestamp, as its 8 wire bytes read big-endian: a `link` signature covers it bit for bit. */
  timestampBits: bigint;
  /** 64 bytes; zero while nothing is committed, or where the ledger paid a claim that this node never had. */
  signature: Uint8Array;
  profile: ProfileName;
  state: ChannelState;
  /** Unix seconds, 0 = never. */
  expiresAt: number;
  /** True for a channel made to try a node out: it is never settled, and may be removed at any time. Else absent. */
  throwAway?: boolean;
  /** Of a channel that leaves of signed roots have paid: `committed` is then what claims and leaves have paid. Else absent. */
  rooted?: RootedPart;
}

/** What a channel with leaves of signed roots has beside `committed`. */
interface RootedPart {
  /**
   * Drops of the highest claim on its own, which can be redeemed, as a leaf cannot: the channel's `signature` is this claim's.
   * 0 where there is none.
   */
  committed: bigint;
  sequence: number;
  timestampBits: bigint;
  /** The newest committed leaf. */
  leaf?: { amount: bigint; sequence: number; timestampBits: bigint; place: LeafPlace };
}

/** Where the journal has the frame of a leaf. */
export interface LeafPlace {
  lane: number;
  /** 0 where no journal has it any more, since a checkpoint has kept its proof. */
  segment: number;
  /** The frame's byte in the segment. */
  offset: number;
  /** The leaf's index in the frame, 0..63. */
  leaf: number;
}

/** The channel as claims on their own have paid it: what can be redeemed, and what its registry row says. */
export function redeemable<Row extends { committed: bigint; rooted?: RootedPart }>(row: Row): Row {
  if (row.rooted === undefined) return row;
  const { committed, sequence, timestampBits } = row.rooted;
  return { ...row, committed, sequence, timestampBits };
}

/** The channel once the ledger has paid so much by a claim that this node never had. */
export function raised(channel: Channel, committed: bigint): Channel {
  const { rooted, signature } = channel;
  const whole = { ...channel, committed, signature: new Uint8Array(signature.length) };
  return rooted === undefined ? whole : { ...whole, rooted: { ...rooted, committed } };
}

/** Whether a channel has the claim that stated what is committed. */
export function hasClaim({ signature }: Pick<Channel, 'signature'>): boolean {
  return signature.some((byte) => byte !== 0);
}

/** The earlier of two expiries, where 0 is never. */
export function earlier(left: number, right: number): number {
  if (left === 0 || right === 0) return Math.max(left, right);
  return Math.min(left, right);
}

export const ROW_BYTES = 176;
/**
 * Only rows that version 1 cannot express have version 2, so an older program refuses those and reads all others. Version 3 is that of a
 * channel with leaves of signed roots: the row has the claim to redeem, and a side table the leaf (journal/leaf-entry.ts).
 */
const ROW_VERSION = 1;
const ROW_VERSION_STATES = 2;
const ROW_VERSION_ROOTED = 3;
export const ROW = {
  version: 0, // u8: 1, or 2 for a removed or a throw-away channel, or 3 for one with leaves
  state: 1, // u8: 0 open, 1 closed, 2 removed; with STATE_THROW_AWAY added for a throw-away channel
  profile: 2, // u8: PROFILE_XRPL or PROFILE_LINK
  publicKey: 3, // 33 bytes
  ledgerChannelId: 36, // 32 bytes
  signature: 68, // 64 bytes
  capacity: 132, // u64
  committed: 140, // u64
  timestamp: 148, // u64
  channelId: 156, // u64
  sequence: 164, // u32
  expiresAt: 168, // u32
  crc: 172, // u32, CRC-32 of bytes 0..171
} as const;

/** The fields in which every new channel is the same. */
export const UNUSED = {
  committed: 0n,
  sequence: 0,
  timestampBits: 0n,
  signature: new Uint8Array(SIGNATURE_BYTES),
  state: 'open',
} as const;

const STATES: readonly ChannelState[] = ['open', 'closed', 'removed'];
/** The first states, which version 1 has. */
const STATES_OF_VERSION_1 = 2;
/** Values of the state byte without its flag. */
export const STATE_OPEN = 0;
export const STATE_REMOVED = 2;
export const STATE_THROW_AWAY = 0x80;
const PROFILES: readonly ProfileName[] = ['xrpl', 'link'];

/** Writes a channel as a row at `offset` of `bytes`. */
export function encodeRow(whole: Channel, bytes: Uint8Array, offset = 0): void {
  const channel = redeemable(whole);
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, ROW_BYTES);
  const state = STATES.indexOf(channel.state) | (channel.throwAway === true ? STATE_THROW_AWAY : 0);
  view.setUint8(ROW.version, versionOf(whole, state));
  view.setUint8(ROW.state, state);
  view.setUint8(ROW.profile, PROFILES.indexOf(channel.profile));
  bytes.set(channel.publicKey, offset + ROW.publicKey);
  bytes.set(channel.ledgerChannelId, offset + ROW.ledgerChannelId);
  bytes.set(channel.signature, offset + ROW.signature);
  view.setBigUint64(ROW.capacity, channel.capacity, true);
  view.setBigUint64(ROW.committed, channel.committed, true);
  view.setBigUint64(ROW.timestamp, channel.timestampBits, true);
  view.setBigUint64(ROW.channelId, channel.channelId, true);
  view.setUint32(ROW.sequence, channel.sequence, true);
  view.setUint32(ROW.expiresAt, channel.expiresAt, true);
  view.setUint32(ROW.crc, crc32(bytes.subarray(offset, offset + ROW.crc)), true);
}

function versionOf({ rooted }: Channel, state: number): number {
  if (rooted !== undefined) return ROW_VERSION_ROOTED;
  return state < STATES_OF_VERSION_1 ? ROW_VERSION : ROW_VERSION_STATES;
}

/** Channels as rows, one after the other. */
export function packedRows(channels: readonly Channel[]): Uint8Array<ArrayBuffer> {
  const rows = new Uint8Array(channels.length * ROW_BYTES);
  for (const [index, channel] of channels.entries()) encodeRow(channel, rows, index * ROW_BYTES);
  return rows;
}

/** Why `bytes` are not a sound row, or `undefined` when they are. */
export function rowFault(bytes: Uint8Array): string | undefined {
  if (bytes.length !== ROW_BYTES) return `expected ${ROW_BYTES} bytes, got ${bytes.length}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, ROW_BYTES);
  const expected = view.getUint32(ROW.crc, true);
  const actual = crc32(bytes.subarray(0, ROW.crc));
  if (actual !== expected) return `expected checksum ${expected.toString(16)}, got ${actual.toString(16)}`;
  const version = bytes[ROW.version]!;
  if (version < ROW_VERSION || version > ROW_VERSION_ROOTED)
    return `expected row version ${ROW_VERSION} to ${ROW_VERSION_ROOTED}, got ${version}`;
  const state = bytes[ROW.state]!;
  const isKnown = version === ROW_VERSION ? state < STATES_OF_VERSION_1 : stateOf(state) < STATES.length;
  if (!isKnown) return `expected a known state, got ${state}`;
  if (bytes[ROW.profile]! >= PROFILES.length) return `expected a known profile, got ${bytes[ROW.profile]}`;
  return undefined;
}

/** Whether a row's handle is the first 8 bytes of its ledger id, the default. */
export function hasDefaultHandle(view: DataView, offset: number): boolean {
  return (
    view.getUint32(offset + ROW.channelId, true) === view.getUint32(offset + ROW.ledgerChannelId + 4) &&
    view.getUint32(offset + ROW.channelId + 4, true) === view.getUint32(offset + ROW.ledgerChannelId)
  );
}

/** The state in a row's state byte. */
export function stateOf(byte: number): number {
  return byte & ~STATE_THROW_AWAY;
}

/** Reads a row that `rowFault` found sound: of a channel with leaves what can be redeemed; what a leaf has paid is elsewhere. */
export function decodeRow(bytes: Uint8Array): Channel {
  const view = new DataView(bytes.buffer, bytes.byteOffset, ROW_BYTES);
  const channel: Channel = {
    channelId: view.getBigUint64(ROW.channelId, true),
    ledgerChannelId: copyOf(bytes, ROW.ledgerChannelId, 32),
    publicKey: copyOf(bytes, ROW.publicKey, PUBLIC_KEY_BYTES),
    capacity: view.getBigUint64(ROW.capacity, true),
    committed: view.getBigUint64(ROW.committed, true),
    sequence: view.getUint32(ROW.sequence, true),
    timestampBits: view.getBigUint64(ROW.timestamp, true),
    signature: copyOf(bytes, ROW.signature, SIGNATURE_BYTES),
    profile: PROFILES[bytes[ROW.profile]!]!,
    state: STATES[stateOf(bytes[ROW.state]!)]!,
    expiresAt: view.getUint32(ROW.expiresAt, true),
  };
  if ((bytes[ROW.state]! & STATE_THROW_AWAY) !== 0) channel.throwAway = true;
  if (bytes[ROW.version] === ROW_VERSION_ROOTED) {
    const { committed, sequence, timestampBits } = channel;
    channel.rooted = { committed, sequence, timestampBits };
  }
  return channel;
}

/** Copies also from a Buffer, whose own `slice` makes a view. */
function copyOf(bytes: Uint8Array, start: number, length: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, start + length));
}
