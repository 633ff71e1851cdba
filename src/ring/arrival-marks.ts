/**
 * When claims arrived, were read and entered the ring: a mark for each run of claims with the same times, at the place of the
 * run's first claim. So there is always room, and the next mark is found at the end of the one before.
 *
 * The receiver writes a run's mark before it publishes its claims; the committer, which passes every claim in order, reads
 * it before it frees them. Times are microseconds of the monotonic clock modulo 2^32.
 */
import { assert } from '../errors.ts';
import { ARRIVAL_MARK_BYTES, type Arena } from './arena.ts';
import type { ClaimRing } from './claim-ring.ts';
import { SettingWords } from './setting-words.ts';

/** Words of a mark. */
const END = 0;
const ARRIVED = 1;
const READ = 2;
const PUBLISHED = 3;
const WORDS = ARRIVAL_MARK_BYTES / 4;

/**
 * Datagrams that waited in the socket share a mark while their waits differ by less than a 64th. That is below what a bucket
 * of the whole time tells apart by much, and where each claim has its datagram it saves most marks of a burst.
 */
const NEAR_SHIFT = 6;

/** The receiver's side. */
export class ArrivalWriter {
  readonly #ring: ClaimRing;
  readonly #words: Uint32Array;
  readonly #base: number;
  readonly #now: () => number;
  readonly #settings: SettingWords;
  /** Whether arrivals are noted. */
  isOn: boolean;
  /** Whether something was read, and the time not taken yet. */
  #isDue = true;
  #readAt = 0;
  #waited = 0;
  /** The first claim of the run that is open, and of those that are not published. */
  #first: number;
  #published: number;

  constructor(arena: Arena, ring: number, claims: ClaimRing, now: () => number) {
    this.#now = now;
    this.#settings = new SettingWords(arena);
    this.isOn = claims.isMeasured;
    this.#ring = claims;
    this.#words = arena.words;
    this.#base = firstWord(arena, ring);
    this.#first = claims.next;
    this.#published = claims.next;
  }

  /** What comes now was read when `enter` is called first. Unless `waited` says otherwise, that counts as its arrival. */
  read(): void {
    this.#close();
    this.#isDue = true;
    this.#waited = 0;
    const isWanted = this.#settings.get('measuring', 1) !== 0;
    if (isWanted !== this.isOn) this.#switch(isWanted);
  }

  /** Nothing in the ring may have been received the other way. Until it is empty everything stays as it is. */
  #switch(isWanted: boolean): void {
    const { next, committed } = this.#ring;
    if (next !== committed) return;
    this.isOn = isWanted;
    this.#ring.isMeasured = isWanted;
    this.#first = next;
    this.#published = next;
  }

  /** Claims may be pushed now. */
  enter(): void {
    if (!this.#isDue || !this.isOn) return;
    this.#isDue = false;
    this.#readAt = this.#now();
  }

  /** What comes now waited so many microseconds until it was read. */
  waited(us: number): void {
    if (!this.isOn) return;
    this.enter();
    if (Math.abs(us - this.#waited) <= this.#waited >>> NEAR_SHIFT) return;
    this.#close();
    this.#waited = us;
  }

  /** All claims that were pushed are about to be published. */
  publish(): void {
    if (!this.isOn) return;
    this.#close();
    const { next } = this.#ring;
    if (this.#published === next) return;
    const at = this.#now();
    while (this.#published !== next) {
      const mark = this.#mark(this.#published);
      this.#words[mark + PUBLISHED] = at;
      this.#published = this.#words[mark + END]!;
    }
  }

  #close(): void {
    const { next } = this.#ring;
    if (next === this.#first || !this.isOn) return;
    const mark = this.#mark(this.#first);
    this.#words[mark + END] = next;
    this.#words[mark + ARRIVED] = this.#readAt - this.#waited;
    this.#words[mark + READ] = this.#readAt;
    this.#first = next;
  }

  #mark(sequence: number): number {
    return this.#base + (sequence & this.#ring.mask) * WORDS;
  }
}

/** The committer's side: the times of one run at a time. */
export class ArrivalReader {
  /** The sequence after the run's last claim. */
  end: number;
  arrived = 0;
  readAt = 0;
  published = 0;
  readonly #words: Uint32Array;
  readonly #base: number;
  readonly #mask: number;

  constructor(arena: Arena, ring: number, claims: ClaimRing) {
    this.#words = arena.words;
    this.#base = firstWord(arena, ring);
    this.#mask = claims.mask;
    this.end = claims.committed;
  }

  /** Claims before `sequence` have no marks, or theirs are not needed. */
  skipTo(sequence: number): void {
    this.end = sequence;
  }

  /** Goes on to the run that begins where this one ends. */
  next(): void {
    const mark = this.#base + (this.end & this.#mask) * WORDS;
    const end = this.#words[mark + END]!;
    const claims = (end - this.end) >>> 0;
    // Without this a receiver that marks nothing would keep the committer here for ever.
    assert(claims > 0 && claims <= this.#mask + 1, 'the receiver marks every run of claims');
    this.end = end;
    this.arrived = this.#words[mark + ARRIVED]!;
    this.readAt = this.#words[mark + READ]!;
    this.published = this.#words[mark + PUBLISHED]!;
  }
}

function firstWord(arena: Arena, ring: number): number {
  return arena.plan.arrivals.offset / 4 + ring * arena.plan.shape.ringSlots * WORDS;
}
