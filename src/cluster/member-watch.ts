/**
 * Whether other members live, by the one clock that a node can trust: its own, which never steps back. Pure: times are handed in.
 *
 * A member lives while its beats rise. One that starts, and ends before it serves, may beat each time: after some such starts it
 * is not waited for any more. A node that has not looked for a while, since it stood still itself or could not reach
 * the database, knows nothing of what the others did meanwhile: it begins to watch anew before it judges anybody.
 */
import type { Member } from '../store/claim-database.ts';

/** So many starts in a row may end before the node serves. */
const FRUITLESS_STARTS_MAX = 3;

interface Seen {
  epoch: number;
  beats: number;
  /** Since when the beats are what they are, or nothing came of its starts. */
  since: number;
  /** Whether the beats have risen in this epoch while this node watched. */
  hasRisen: boolean;
  /** Whether it has served in this epoch, as far as this node has seen, and how many epochs before it it had not. */
  hasServed: boolean;
  fruitless: number;
}

export class MemberWatch {
  readonly #gapMsMax: number;
  #seen = new Map<string, Seen>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** How often it began anew. */
  restarts = 0;

  /** @param gapMsMax milliseconds between two looks; after a longer gap all members are watched anew */
  constructor(gapMsMax: number) {
    this.#gapMsMax = gapMsMax;
  }

  /** Takes in what the database said to a question asked at `askedAt` and answered at `now`, both in monotonic milliseconds. */
  observe(members: readonly Member[], askedAt: number, now: number): void {
    const isAnew = now - this.#lookedAt > this.#gapMsMax || now - askedAt > this.#gapMsMax;
    if (isAnew && this.#seen.size > 0) this.restarts++;
    const seen = new Map<string, Seen>();
    for (const member of members) {
      const before = this.#seen.get(member.node);
      const after = next(member, before, now);
      if (isAnew) after.since = now;
      seen.set(member.node, after);
    }
    this.#seen = seen;
    this.#lookedAt = now;
    this.#askedAt = askedAt;
  }

  /**
   * For how long a member's beats have stood still at least, milliseconds, as of the last look; 0 for one that is not known. The
   * answer is as old as its question at most, so the time of the question counts.
   */
  stillMs(node: string): number {
    const seen = this.#seen.get(node);
    return seen === undefined ? 0 : Math.max(0, this.#askedAt - seen.since);
  }

  /** Whether a member's beats were seen to rise since it entered. One that was never seen to live gets no shards. */
  hasRisen(node: string): boolean {
    return this.#seen.get(node)?.hasRisen ?? false;
  }
}

function next({ epoch, beats, leaving }: Member, before: Seen | undefined, now: number): Seen {
  const isSame = before?.epoch === epoch;
  const rises = isSame && beats > before.beats;
  const hasRisen = isSame && (before.hasRisen || rises);
  // Until its first beat a member is shown as it was before it started.
  const hasServed = before === undefined ? !leaving : isSame && (before.hasServed || (rises && !leaving));
  const endedFirst = before !== undefined && !isSame && !before.hasServed;
  const fruitless = isSame ? before.fruitless : endedFirst ? before.fruitless + 1 : 0;
  const isStill = isSame && before.beats === beats;
  const isGivenUp = fruitless >= FRUITLESS_STARTS_MAX && !hasServed;
  const since = before !== undefined && (isStill || isGivenUp) ? before.since : now;
  return { epoch, beats, since, hasRisen, hasServed, fruitless };
}
