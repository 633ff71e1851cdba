/**
 * A slot of the ring: 128 bytes, two cache lines. First the claim's 93 bytes of the wire, then what the node adds.
 *
 * The receiver fills it, a verifier writes only the verdict and when that was, and the committer frees it. Fields after the claim are in
 * machine order. A source is copied as five words, of which the first byte is the claim's last one.
 */
import { CLAIM_BYTES, CLAIM_SIGNATURE } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';
import { SLOT_BYTES } from './arena.ts';

export const SLOT_SOURCE = 92; // 20 bytes, see SOURCE_*
/**
 * In the first slot of a batch: the sequence after the batch's last claim, which its verifier writes before any verdict; and
 * when the last verdict was there, as in arrival-marks.ts, which is 0 until then. In other slots there is what was there before.
 */
export const SLOT_JUDGED_END = 112; // u32
export const SLOT_JUDGED_AT = 116; // u32
export const SLOT_ROW = 120; // u32, the row in the channel table
export const SLOT_VERDICT = 124; // i32, one of VERDICT_*, written last

/**
 * Where an ack is sent: the transport's id (u8 at 1), the port (u16 at 2) and the address. transport/source.ts encodes and
 * decodes the first word.
 */
export const SOURCE_BYTES = 20;
export const SOURCE_WORDS = 5;
const SOURCE_TRANSPORT = 1;
export const SOURCE_ADDRESS = 4; // 16 bytes as four words; IPv4 as ::ffff:a.b.c.d

export const VERDICT_PENDING = 0;
export const VERDICT_VALID = 1;
export const VERDICT_INVALID = 2;
/** The kernel's verdict for a kind of key that it does not know. */
export const VERDICT_UNSUPPORTED = 3;
/** The batch has a newer, verified claim of the same channel (verify/newest-backend.ts). */
export const VERDICT_SUPERSEDED = 4;
/** Used within the kernel and never in a slot: two points with the same x met, so only the slow path can decide. */
export const VERDICT_UNDECIDED = 5;
/** The verdict on a leaf of a Merkle batch whose root is signed. Not VERDICT_VALID, so that C takes no leaf for a claim. */
export const LEAF_VALID = 6;
/** Added to a verdict that the kernel's slow path gave; and to such a one of a key without a table, where anybody can force it. */
export const VERDICT_SLOWLY = 8;
export const VERDICT_TABLELESS = 16;
/** Not judged yet, and the verifier skips it (verify/newest-backend.ts). */
export const VERDICT_HELD = -1;

/** In a leaf's slot, in place of the signature: where the entry of its frame is in the arena, and its index in the frame. */
export const SLOT_FRAME = CLAIM_SIGNATURE; // u32, big-endian as all of a claim
export const SLOT_LEAF = CLAIM_SIGNATURE + 4; // u32

/** Whether a verdict is final: then the slot belongs to the committer. */
export function isJudged(verdict: number): boolean {
  return verdict > VERDICT_PENDING;
}

/** A verdict without how it was come by. */
export function plainVerdict(verdict: number): number {
  return verdict & ~(VERDICT_SLOWLY | VERDICT_TABLELESS);
}

assert(SLOT_SOURCE + SOURCE_TRANSPORT === CLAIM_BYTES, 'the source begins where the claim ends');
assert(SLOT_SOURCE % 4 === 0 && SLOT_SOURCE + SOURCE_BYTES === SLOT_JUDGED_END, 'the source is copied in words');
assert(SLOT_VERDICT + 4 === SLOT_BYTES, 'the slot is full and aligned');
