/**
 * How often a channel may take the kernel's slow path, which costs ten to thirty ordinary claims and which only its own payer
 * can choose (protocol/THREATS.md). An honest payer never meets it. A channel over its budget is held back for a while: its claims
 * are answered OVERLOADED and not verified, whoever sends them and by whatever way.
 *
 * The count is in the word of the row's line where else its payer is noted (standing.ts), so that a plain claim costs no look
 * elsewhere, and there is no table to fill. The commit step (or lane) counts, the receive step looks, C as well
 * (native/claim_path.c). Two lanes that count at once may lose a count; nothing but a little time hangs on it.
 */
import { HOT_PAYER } from '../channel/table.ts';

/** Slow paths of a channel in a second that are let pass: at most 50 µs each. */
export const SLOW_PATHS_MAX = 32;
/** How long a channel with more is held back, seconds: so long that what is in a ring already, a second's overshoot, counts little. */
export const HELD_SECONDS = 60;

/** Set in a word that counts; the note of a payer leaves it clear. C leaves the claim of such a row to TypeScript. */
export const SLOW_MARK = 0x8000_0000;
const COUNT_MASK = 0xffff;
const SECOND_MASK = 0x7fff;

/** Counts a slow path of the channel whose line is at `hot`. */
export function countSlowPath(words: Uint32Array, hot: number, nowSeconds: number): void {
  const word = words[hot + HOT_PAYER]!;
  const isOld = !isCounting(word, nowSeconds);
  const count = isOld ? 1 : Math.min((word & COUNT_MASK) + 1, COUNT_MASK);
  words[hot + HOT_PAYER] = (SLOW_MARK | ((nowSeconds & SECOND_MASK) << 16) | count) >>> 0;
}

/** Whether the word is a count that still matters: of this second, or over the budget a while ago. */
export function isCounting(word: number, nowSeconds: number): boolean {
  if (word < SLOW_MARK) return false;
  const age = (nowSeconds - (word >>> 16)) & SECOND_MASK;
  return age === 0 || ((word & COUNT_MASK) > SLOW_PATHS_MAX && age < HELD_SECONDS);
}

/** Whether the channel's claims are held back now. */
export function isHeldBack(words: Uint32Array, hot: number, nowSeconds: number): boolean {
  const word = words[hot + HOT_PAYER]!;
  return (word & COUNT_MASK) > SLOW_PATHS_MAX && isCounting(word, nowSeconds);
}
