/**
 * A ring slot: 128 bytes, two cache lines. The claim's 93 wire bytes first, then what the node knows of it.
 *
 * The receiver fills it, a verifier writes only the verdict, the committer frees it. Fields beyond the claim are in
 * machine order. The source block is copied as five words; its first byte is the claim's last one and means nothing.
 */
import { CLAIM_BYTES } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';
import { SLOT_BYTES } from './arena.ts';

export const SLOT_SOURCE = 92; // 20 bytes, see SOURCE_*
/**
 * f64, milliseconds. Nobody reads it yet: it is for histograms of latency, and its store costs 0.1 to 0.4 ns of the 13 that an
 * admission takes in C, which is less than 0.1 % of what a claim costs its lane.
 */
export const SLOT_RECEIVED_AT = 112;
export const SLOT_ROW = 120; // u32, channel table row
export const SLOT_VERDICT = 124; // i32, one of VERDICT_* (3 is the kernel's: a kind of key it does not know)

/**
 * Where an ack goes back to, from the block's start: transport id (u8 at 1), port (u16 at 2), and the address. The
 * first word is put together and taken apart by transport/source.ts.
 */
export const SOURCE_BYTES = 20;
export const SOURCE_WORDS = 5;
const SOURCE_TRANSPORT = 1;
export const SOURCE_ADDRESS = 4; // 16 bytes as four words; IPv4 as ::ffff:a.b.c.d

export const VERDICT_PENDING = 0;
export const VERDICT_VALID = 1;
export const VERDICT_INVALID = 2;
/** Its batch has a verified newer claim of the same channel (verify/newest-backend.ts). */
export const VERDICT_SUPERSEDED = 4;
/** Not judged yet, and the verifier's batch passes it over. */
export const VERDICT_HELD = -1;

/** Whether a verdict is final: from then on the slot is the committer's. */
export function isJudged(verdict: number): boolean {
  return verdict > VERDICT_PENDING;
}

assert(SLOT_SOURCE + SOURCE_TRANSPORT === CLAIM_BYTES, 'the source begins where the claim ends');
assert(SLOT_SOURCE % 4 === 0 && SLOT_SOURCE + SOURCE_BYTES === SLOT_RECEIVED_AT, 'the source is copied in words');
assert(SLOT_RECEIVED_AT % 8 === 0 && SLOT_VERDICT + 4 === SLOT_BYTES, 'the slot is full and aligned');
