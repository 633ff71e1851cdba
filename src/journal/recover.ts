/**
 * Recovery of a lane's journal: the replay, and what the ends of a journal mean. Never changes anything.
 *
 * Main thread at start, and the tools; bounded memory (one window). The reading itself is in walk.ts. Power may have
 * been lost at any instant, so the last group may be torn, and only that one: each is synced before the next is written.
 *
 *   whole    every group up to the zeros at the end is sound
 *   torn     the bad place comes after every sound group. A loss of power leaves this of a group that was not
 *            acknowledged; damage done later leaves the same of groups that were. The bytes do not tell which.
 *   corrupt  sound groups follow the bad place, or bytes behind a group that is not sound show that another was written
 *            after it, or a segment is missing, or a segment header is bad: headers and lengths are synced before a
 *            segment gets its name, so no loss of power explains them
 *
 * After a torn end the next run leaves the segment and goes on in a fresh one with the number of the torn group. So a
 * bad place followed by a segment that starts with just the number expected was reported before: it is passed over and
 * listed.
 */
import { RECORD_BYTES } from './record.ts';
import type { RecoveryReport, WalkOptions } from './report.ts';
import { walkJournal } from './walk.ts';

/**
 * Hands every sound claim to `onClaim` in the order written: `bytes[offset]` is the claim's type byte. A folder that is
 * not there is an empty journal. Throws JOURNAL_FAILED when the last segment cannot be synced; damage is in the report.
 */
export function recoverJournal(
  directory: string,
  onClaim: (bytes: Uint8Array, offset: number, group: number) => void,
  options: WalkOptions = {},
): RecoveryReport {
  const walk = walkJournal(directory, options);
  for (;;) {
    const step = walk.next();
    if (step.done) return step.value;
    const { bytes, offset, count, number } = step.value;
    for (let index = 0; index < count; index++) onClaim(bytes, offset + index * RECORD_BYTES, number);
  }
}
