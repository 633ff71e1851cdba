/**
 * Which setting to change to which value next: a climb along one setting at a time, with longer steps while it gets better and
 * both directions tried before it goes on to the next. Pure.
 *
 * Where more is mostly better, the most is tried first: a key cache that is too small for the keys in use is not better for being
 * four times as large, and still too small.
 */
import type { Setting, SettingName } from '../control/tune-control.ts';
import { ladderOf } from './ladder.ts';

/** Changes of one climb: after so many the settings stay, whatever was found. */
const TRIES_MAX = 60;
const STRIDE_MAX = 8;
/** In the order of what they are worth. */
const ORDER: readonly SettingName[] = ['keyCacheBytes', 'verifyBatch', 'groupClaims', 'groupWaitMs', 'idleSpins'];
const MOST_FIRST: readonly SettingName[] = ['keyCacheBytes', 'verifyBatch', 'groupClaims'];
/** Ladders of more steps begin with two at a time. */
const SHORT_LADDER = 6;

export interface Candidate {
  readonly name: SettingName;
  readonly from: number;
  readonly to: number;
}

interface Climb {
  readonly name: SettingName;
  readonly ladder: readonly number[];
  at: number;
  /** Last known to help. */
  direction: 1 | -1;
}

export class Search {
  readonly #climbs: readonly Climb[];
  /** How many of them are worth much; they come first. */
  readonly #coarse: number;
  /** What may not be passed upwards, by name. */
  readonly #limits = new Map<SettingName, number>();
  /** The setting whose turn it is, and of its visit: the step, whether one was kept, and directions found useless. */
  #visited = 0;
  #stride = 1;
  #isMost = false;
  #hasRisen = false;
  #refusals = 0;
  #tries = 0;
  #hasImproved = false;
  #isOver = false;

  constructor(settings: readonly Setting[]) {
    const ordered = settings.toSorted((left, right) => ORDER.indexOf(left.name) - ORDER.indexOf(right.name));
    this.#climbs = ordered.map((setting) => {
      const ladder = ladderOf(setting);
      return { name: setting.name, ladder, at: ladder.indexOf(setting.value), direction: 1 };
    });
    this.#coarse = ordered.filter(({ name }) => MOST_FIRST.includes(name)).length;
    this.begin();
  }

  /** A new climb from where the settings are. */
  begin(): void {
    this.#tries = 0;
    this.#isOver = this.#climbs.length === 0;
    this.#hasImproved = false;
    this.#visit(0);
  }

  get values(): Record<string, number> {
    return Object.fromEntries(this.#climbs.map(({ name, ladder, at }) => [name, ladder[at]!]));
  }

  /** From now on the setting stays at or below `limit`. Returns the change that this asks for now, if any. */
  limit(name: SettingName, limit: number): Candidate | undefined {
    const climb = this.#climbs.find((each) => each.name === name);
    if (climb === undefined) return undefined;
    this.#limits.set(name, limit);
    const from = climb.ladder[climb.at]!;
    if (from <= limit) return undefined;
    climb.at = Math.max(
      0,
      climb.ladder.findLastIndex((value) => value <= limit),
    );
    const to = climb.ladder[climb.at]!;
    return to === from ? undefined : { name, from, to };
  }

  /** The next change to try, or undefined where the climb is over. */
  next(): Candidate | undefined {
    while (!this.#isOver && this.#tries < TRIES_MAX) {
      const climb = this.#climbs[this.#visited]!;
      const to = this.#goal(climb);
      if (to !== climb.at) {
        this.#tries++;
        return { name: climb.name, from: climb.ladder[climb.at]!, to: climb.ladder[to]! };
      }
      this.refused();
    }
    return undefined;
  }

  /** The change that `next` named is better. */
  kept(): void {
    const climb = this.#climbs[this.#visited]!;
    climb.at = this.#goal(climb);
    this.#hasRisen = true;
    this.#hasImproved = true;
    this.#stride = Math.min(STRIDE_MAX, this.#stride * 2);
    // Whether less is better still can wait for the next round: other settings may be as bad as this one was.
    if (this.#isMost) this.#visit(this.#visited + 1);
  }

  /** It is not. */
  refused(): void {
    const climb = this.#climbs[this.#visited]!;
    if (this.#isMost) {
      this.#isMost = false;
      return;
    }
    // Where a long step was too long, a short one may not be.
    if (this.#hasRisen && this.#stride > 1) this.#stride = Math.max(1, Math.floor(this.#stride / 4));
    else if (this.#hasRisen || ++this.#refusals === 2) this.#visit(this.#visited + 1);
    else climb.direction = climb.direction === 1 ? -1 : 1;
  }

  #goal({ at, direction, ladder, name }: Climb): number {
    const limit = this.#limits.get(name) ?? Number.POSITIVE_INFINITY;
    const wanted = this.#isMost ? ladder.length - 1 : at + direction * this.#stride;
    let to = Math.min(ladder.length - 1, Math.max(0, wanted));
    while (to > at && ladder[to]! > limit) to--;
    return to;
  }

  #visit(next: number): void {
    // What is worth little waits until what is worth much has come to its end.
    const index = this.#hasImproved && next === this.#coarse ? this.#climbs.length : next;
    if (index === this.#climbs.length) {
      // A round in which nothing helped is the last one.
      this.#isOver = !this.#hasImproved;
      this.#hasImproved = false;
    }
    this.#visited = index % Math.max(1, this.#climbs.length);
    const climb = this.#climbs[this.#visited];
    this.#stride = (climb?.ladder.length ?? 0) > SHORT_LADDER ? 2 : 1;
    this.#isMost = climb !== undefined && MOST_FIRST.includes(climb.name);
    this.#hasRisen = false;
    this.#refusals = 0;
  }
}
