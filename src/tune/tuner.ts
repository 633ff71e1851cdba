/**
 * The optimiser's state machine: an observation of each interval goes in, a decision comes out. Pure: it reads no clock, sets
 * nothing and writes nothing; auto-tune.ts does that.
 *
 * One setting is changed at a time, kept where it measured better than before and after it, and otherwise set back. When a
 * round over all settings found nothing better it rests, until the load or the cost of a claim is another one.
 */
import type { Setting, SettingName } from '../control/tune-control.ts';
import { cpuUsOf, isTelling, type Observation, type Score, scoreOf, type Targets } from './score.ts';
import { type Candidate, Search } from './search.ts';
import { Noise, Trial, type Verdict } from './trial.ts';

/** Intervals that a rest compares with those at its beginning, and how many such windows in a row must differ. */
const REST_WINDOW = 5;
const WINDOWS_UNLIKE = 2;
const WAKE = 0.2;
/** A candidate is given up when the load changes under its trial so often. */
const UNLIKE_MAX = 3;
/** Intervals left out after a change of the key cache, whose tables are made anew; and when load begins: claims wait for tables. */
const SETTLE = 2;
const SETTLE_BEGIN = 3;

/** What a rest began with: claims a second, and processor time for a claim. */
export interface Reference {
  readonly committed: number;
  readonly cpuUs: number;
}

export interface Decision {
  /**
   * `try`: measure with another value. `back`: measure with the old one again. `keep` and `undo` end a trial. `bound`: a target
   * leaves no other value. `rest` and `wake` change nothing.
   */
  readonly kind: 'try' | 'back' | 'keep' | 'undo' | 'bound' | 'rest' | 'wake';
  readonly name?: SettingName;
  readonly from?: number;
  /** What the setting is from now on. */
  readonly to?: number;
  /** With the old and with the new value, means over the trial. */
  readonly before?: Score;
  readonly after?: Score;
}

export interface TunerState {
  readonly settings: Readonly<Record<string, number>>;
  readonly kept: number;
  readonly undone: number;
  /** Null while it does not rest. */
  readonly reference: Reference | null;
}

export class Tuner {
  readonly #targets: Targets;
  readonly #search: Search;
  readonly #noise = new Noise();
  #kept: number;
  #undone: number;
  /** The change that is being tried; whether its new value is the one set. */
  #candidate: Candidate | undefined;
  #trial: Trial | undefined;
  #isNew = false;
  #unlike = 0;
  #settle = SETTLE_BEGIN;
  #isResting: boolean;
  #reference: Reference | null;
  #window: Observation[] = [];
  #windowsUnlike = 0;
  /** The most bytes that key tables have had: memory that was used stays with the process. */
  #tablesMax = 0;

  /** @param settings as they are, those of `state` included */
  constructor(settings: readonly Setting[], targets: Targets, state?: TunerState) {
    this.#targets = targets;
    this.#search = new Search(settings);
    this.#kept = state?.kept ?? 0;
    this.#undone = state?.undone ?? 0;
    this.#reference = state?.reference ?? null;
    this.#isResting = this.#reference !== null;
  }

  get isResting(): boolean {
    return this.#isResting;
  }
  /** Changes that were tried to their end. */
  get changes(): number {
    return this.#kept + this.#undone;
  }
  get state(): TunerState {
    const { values: settings } = this.#search;
    return { settings, kept: this.#kept, undone: this.#undone, reference: this.#isResting ? this.#reference : null };
  }

  /** Ends a trial under way; returns the change that takes its value back. */
  abandon(): Decision | undefined {
    const candidate = this.#candidate;
    this.#candidate = undefined;
    this.#trial = undefined;
    if (candidate === undefined || !this.#isNew) return undefined;
    this.#isNew = false;
    return { kind: 'back', name: candidate.name, from: candidate.to, to: candidate.from };
  }

  /** @returns what to change and tell; whatever it changes is in force for the whole next interval */
  observe(observation: Observation): Decision[] {
    const bound = this.#bound(observation);
    if (bound !== undefined) return bound;
    if (this.#settle > 0 && isTelling(observation)) {
      this.#settle--;
      return [];
    }
    if (!isTelling(observation)) {
      this.#settle = SETTLE_BEGIN;
      const back = this.abandon();
      return back === undefined ? [] : [back];
    }
    if (this.#isResting) return this.#rest(observation);
    const score = scoreOf(observation, this.#targets);
    if (this.#trial === undefined) return this.#begin(score);
    const verdict = this.#isNew ? this.#trial.tried(score) : this.#trial.checked(score);
    return this.#go(verdict, this.#trial, this.#candidate!, score);
  }

  #go(verdict: Verdict, trial: Trial, candidate: Candidate, score: Score): Decision[] {
    const { name, from, to } = candidate;
    if (verdict === 'old') return [this.#set(false, 'back', name, to, from)];
    if (verdict === 'new') return [this.#set(true, 'try', name, from, to)];
    if (verdict === 'unlike' && ++this.#unlike < UNLIKE_MAX) {
      this.#trial = new Trial(score, this.#noise);
      return [this.#set(true, 'try', name, from, to)];
    }
    const { before, after } = trial;
    if (verdict === 'keep') {
      this.#kept++;
      this.#search.kept();
      const wasNew = this.#isNew;
      const decision = { ...this.#set(true, 'keep', name, from, to), before, after };
      // The trial of the next setting needs an interval of this one alone, which has just been where it was clear at once.
      this.#end();
      return wasNew ? [decision, ...this.#begin(score)] : [decision];
    }
    this.#undone++;
    this.#search.refused();
    this.#end();
    return [{ kind: 'undo', name, from: to, to: from, before, after }, ...this.#begin(score)];
  }

  #end(): void {
    this.#trial = undefined;
    this.#candidate = undefined;
    this.#isNew = false;
    this.#unlike = 0;
  }

  /** Starts the next trial, `score` being that of the interval that has just ended; or rests. */
  #begin(score: Score): Decision[] {
    const candidate = this.#search.next();
    if (candidate === undefined) {
      this.#isResting = true;
      this.#reference = null;
      this.#window = [];
      this.#windowsUnlike = 0;
      return [{ kind: 'rest' }];
    }
    this.#candidate = candidate;
    this.#trial = new Trial(score, this.#noise);
    return [this.#set(true, 'try', candidate.name, candidate.from, candidate.to)];
  }

  #set(isNew: boolean, kind: Decision['kind'], name: SettingName, from: number, to: number): Decision {
    // Tables are made anew after the cache has grown.
    if (this.#isNew !== isNew && name === 'keyCacheBytes') this.#settle = SETTLE;
    this.#isNew = isNew;
    return { kind, name, from, to };
  }

  /** Compares windows of a rest with its first one. */
  #rest(observation: Observation): Decision[] {
    this.#window.push(observation);
    if (this.#window.length < REST_WINDOW) return [];
    const committed = middle(this.#window.map((each) => each.committed));
    const cpuUs = middle(this.#window.map(cpuUsOf));
    this.#window = [];
    const reference = this.#reference;
    if (reference === null) {
      this.#reference = { committed, cpuUs };
      return [];
    }
    const limit = Math.max(WAKE, 3 * this.#noise.value);
    const isLike =
      Math.abs(committed / reference.committed - 1) <= limit && Math.abs(cpuUs / reference.cpuUs - 1) <= limit;
    this.#windowsUnlike = isLike ? 0 : this.#windowsUnlike + 1;
    if (this.#windowsUnlike < WINDOWS_UNLIKE) return [];
    this.#isResting = false;
    this.#reference = null;
    this.#search.begin();
    return [{ kind: 'wake' }];
  }

  /** Keeps the key cache within the target for memory. */
  #bound({ resident, tables }: Observation): Decision[] | undefined {
    const { memoryBytes } = this.#targets;
    this.#tablesMax = Math.max(this.#tablesMax, tables);
    if (memoryBytes === undefined || resident === 0) return undefined;
    const asked = this.#search.limit('keyCacheBytes', memoryBytes - (resident - this.#tablesMax));
    if (asked === undefined) return undefined;
    const back = this.abandon();
    return [...(back === undefined ? [] : [back]), { kind: 'bound', ...asked }];
  }
}

function middle(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1]!;
}
