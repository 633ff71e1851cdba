/**
 * Wire layout, version 1: every offset, size, status and limit, declared once.
 *
 * Both ends read these; nothing here touches memory. The specification in prose is protocol/README.md. All integers
 * are big-endian.
 */

/** First byte of a frame. 0x04 and 0x05 are reserved (heartbeat, gap request). */
export const FRAME_CLAIM = 0x01;
/** First byte of an ack. */
export const FRAME_ACK = 0x02;
/** First byte of a Merkle batch's frame: leaves of a tree, their path, and the signed root. */
export const FRAME_MERKLE = 0x03;
/** First byte of a TCP payload that is a control message (MessagePack after it), not frames. */
export const PAYLOAD_CONTROL = 0x80;

/** CLAIM, 93 bytes. */
export const CLAIM_BYTES = 93;
/** U64. */
export const CLAIM_CHANNEL_ID = 1;
/** U32. */
export const CLAIM_SEQUENCE = 9;
/** U64, cumulative drops. */
export const CLAIM_AMOUNT = 13;
/** R‖s, or Ed25519. */
export const CLAIM_SIGNATURE = 21;
/** F64, milliseconds since 1970. */
export const CLAIM_TIMESTAMP = 85;
/** Length of a signature, of either kind. */
export const SIGNATURE_BYTES = 64;

/** ACK, 32 bytes. */
export const ACK_BYTES = 32;
/** U8. */
export const ACK_STATUS = 1;
/** U16, 0. */
export const ACK_RESERVED = 2;
/** U32. */
export const ACK_SEQUENCE = 4;
/** U64. */
export const ACK_CHANNEL_ID = 8;
/** U64. */
export const ACK_AMOUNT = 16;
/** F64, echoed bit for bit. */
export const ACK_TIMESTAMP = 24;

/** U8, 0: a frame with another value is of an unknown type. */
export const MERKLE_RESERVED = 1;
/** U16, which block of 64 leaves. */
export const MERKLE_BLOCK = 2;
/** U32, leaves of the whole tree. */
export const MERKLE_LEAVES = 4;
/** U32. */
export const MERKLE_SEQUENCE = 8;
/** F64, milliseconds since 1970. */
export const MERKLE_TIMESTAMP = 12;
/** Of the root, r‖s or Ed25519. */
export const MERKLE_SIGNATURE = 20;
/** Up to the leaves, each a handle u64 and an amount u64; then the path. */
export const MERKLE_HEAD_BYTES = 84;
/** One leaf as it lies in a frame. */
export const MERKLE_LEAF_BYTES = 16;
/** U64, cumulative drops, within a leaf; the handle is before it. */
export const MERKLE_LEAF_AMOUNT = 8;
/** A node of the tree: SHA-256. */
export const MERKLE_HASH_BYTES = 32;
/** The most leaves of a frame: those below one node of level 6. */
export const MERKLE_BLOCK_LEAVES = 64;
/** The level of the tree whose nodes are blocks: `2 ** MERKLE_BLOCK_LEVEL` leaves. */
export const MERKLE_BLOCK_LEVEL = 6;
/** The most leaves of a tree. */
export const MERKLE_LEAVES_MAX = 65_536;
/** The longest frame: a head, 64 leaves and a path of 10 hashes, which fits a 1,500-byte MTU on IPv4 and IPv6. */
export const MERKLE_FRAME_BYTES_MAX = 1_428;

/** The most claims that a sender packs into one datagram, so that it fits a 1,500-byte MTU on IPv4 and IPv6. */
export const CLAIMS_PER_DATAGRAM_MAX = 15;
/** The same for acks. */
export const ACKS_PER_DATAGRAM_MAX = 45;
/** The largest datagram that a receiver accepts: the largest UDP payload over IPv4. */
export const DATAGRAM_BYTES_MAX = 65_507;

/** TCP: `u32 length ‖ payload`, length 1..65,536. */
export const STREAM_HEADER_BYTES = 4;
/** Longest payload of a TCP message. */
export const STREAM_PAYLOAD_BYTES_MAX = 65_536;

/** Ack statuses. 0 and 1 say "durable"; 16 and above are refusals. */
export const STATUS = {
  COMMITTED: 0,
  ALREADY: 1,
  UNKNOWN_CHANNEL: 16,
  BAD_SIGNATURE: 17,
  OVER_CAPACITY: 18,
  CHANNEL_CLOSED: 19,
  BAD_AMOUNT: 20,
  OVERLOADED: 21,
  /** `link` only: the sequence did not rise. */
  BAD_SEQUENCE: 22,
  /** The channel's shard is held by another node; the amount is the version of the map of shards (route.ts). */
  MOVED: 23,
  /** A leaf of a Merkle batch over what the node takes beyond ordinary claims; the amount is what a leaf may reach now. */
  ROOT_EXPOSURE: 24,
} as const;
/** Name of an ack status. */
export type StatusName = keyof typeof STATUS;
/** Number of an ack status. */
export type Status = (typeof STATUS)[StatusName];
/** Statuses from here on are refusals. */
export const STATUS_FIRST_REFUSAL = 16;

const STATUS_NAMES = new Map<number, StatusName>(
  (Object.keys(STATUS) as StatusName[]).map((name) => [STATUS[name], name]),
);

/** Name of a status byte, or `STATUS_<n>` for one this version does not know. */
export function statusName(status: number): StatusName | `STATUS_${number}` {
  return STATUS_NAMES.get(status) ?? `STATUS_${status}`;
}

/** Profiles: what a channel's signatures cover. Fixed when the channel is opened. */
export const PROFILE_XRPL = 0;
/** The `link` profile: signatures cover the whole claim. */
export const PROFILE_LINK = 1;
/** Name of a profile. */
export type ProfileName = 'xrpl' | 'link';

/** All drops that exist on the ledger: 100 billion XRP. Larger amounts are BAD_AMOUNT under the `xrpl` profile. */
export const DROPS_MAX = 100_000_000_000_000_000n;
/** Largest u64: of handles, and of amounts under the `link` profile. */
export const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** Sizes of a channel's id and key. */
export const LEDGER_CHANNEL_ID_BYTES = 32;
/** A compressed secp256k1 point, or ED and 32 bytes of Ed25519. */
export const PUBLIC_KEY_BYTES = 33;
/** First byte of an Ed25519 public key on the XRP Ledger. */
export const ED25519_KEY_PREFIX = 0xed;
