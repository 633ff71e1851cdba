/**
 * How much of a ring strangers may fill (standing.ts): most of it while signatures do not fail, and a smaller part for a minute after
 * many did. After a restart every payer is a stranger; held to the small part, a fleet that goes on paying would be refused
 * because of an attack that is none.
 *
 * A few failures a second are no attack, so that one payer with a wrong key takes no room from all others; whoever stays below
 * costs no more than these few verifications. An attack after a quiet minute finds the larger part until its first signatures are
 * judged: it gains the difference of both once a minute, a few hundredths of a second of a lane.
 *
 * The commit step (or lane) notes failures, the receive step looks once a turn. Both are words of the arena.
 */

/** The part that strangers may fill while signatures do not fail. The rest is for known pairs when an attack begins. */
const QUIET_PART = 7 / 8;
/** With so many failures in a second it is an attack: a third of a millisecond of a lane, or two on its slow path. */
export const ATTACK_FAILURES = 32;
/** An attack is over when there was no such second for so long. */
export const ATTACK_SECONDS = 60;

/** Failures of a second: 16 bits of the second, 16 of the count. Then the last second with too many, 0 before the first. */
const COUNT = 0;
const ATTACKED_AT = 1;

export interface Room {
  /** From so many claims of datagrams in the ring on it matters who somebody is. */
  readonly watchFrom: number;
  /** Claims of strangers among those that came then. */
  readonly strangersMax: number;
}

export class StrangerRoom {
  readonly #words: Uint32Array;
  readonly #quiet: Room;
  readonly #attacked: Room;

  /** @param part of the ring while it is attacked, 0 to 1; with 1 nobody is ever looked at */
  constructor(words: Uint32Array, ringSlots: number, part: number) {
    this.#words = words;
    this.#quiet = roomOf(ringSlots, Math.max(part, QUIET_PART));
    this.#attacked = roomOf(ringSlots, part);
  }

  /** So many signatures more were wrong, or as costly. */
  failed(failures: number, nowSeconds: number): void {
    const second = nowSeconds & 0xffff;
    const word = this.#words[COUNT]!;
    const count = Math.min((word >>> 16 === second ? word & 0xffff : 0) + failures, 0xffff);
    this.#words[COUNT] = ((second << 16) | count) >>> 0;
    if (count >= ATTACK_FAILURES) this.#words[ATTACKED_AT] = nowSeconds;
  }

  at(nowSeconds: number): Room {
    return Math.abs(nowSeconds - this.#words[ATTACKED_AT]!) <= ATTACK_SECONDS ? this.#attacked : this.#quiet;
  }
}

function roomOf(ringSlots: number, part: number): Room {
  const slots = Math.max(1, Math.floor(ringSlots * part));
  const watchFrom = part >= 1 ? ringSlots + 1 : slots >>> 1;
  return { watchFrom, strangersMax: slots - (slots >>> 1) };
}
