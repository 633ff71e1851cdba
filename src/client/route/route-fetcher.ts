/**
 * Asks nodes for the route: one request at a time, seldom, and of another node where one is silent. Payer's thread.
 *
 * MOVED can be forged, so that it moves nothing by itself: it makes a payer ask a node that it trusts. Where it tells of a newer
 * map, that is done at once, unless a few questions in a row brought none; otherwise once a second, and ever less often. Silence cannot be sent by anybody, and is asked about sooner, since a
 * takeover takes a second or two. The times vary at random, since thousands of payers notice a move at the same moment.
 */
import type { ControlAnswer } from '../../../protocol/control.ts';
import { parseRoute, type RouteMap } from '../../../protocol/route.ts';
import type { Clock } from '../clock.ts';

/** Why the route is asked for. */
export type RouteCause = 'start' | 'newer' | 'moved' | 'silence';

/** Between the beginnings of two requests because of MOVED; doubled after each that brought nothing new, but the first. */
const MOVED_MS = 1_000;
const MOVED_MS_MAX = 8_000;
/** The same where MOVED tells of a newer map: so many questions soon, and one more each time the last has passed. Batches come slower. */
const NEWER_MS = 50;
const NEWER_BURST = 8;
const NEWER_REFILL_MS = 200;
/** Rounds in a row that bring no newer map, until it is taken that there is none: a node may be late to learn of it. */
const NEWER_FRUITLESS_MAX = 3;
/** The same because of silence, doubled after each eight: two seconds and a half at the first pace. A takeover falls into these. */
const SILENCE_MS = 250;
const SILENCE_MS_MAX = 2_000;
const SILENCE_ROUNDS = 8;
/** By so large a part the times are longer, at random. */
const JITTER = 0.25;
/** Before the first of all requests for a cause: at random, up to this. */
const FIRST_MS_MAX = 20;
/** A node that has not answered after this time is not waited for alone: the next one is asked as well. */
const HEDGE_MS = 300;
/** Nodes asked in one round. */
const ASKED_MAX = 4;

export interface RouteFetcherParts {
  readonly clock: Clock;
  readonly random: () => number;
  /** Nodes to ask, the likeliest first. */
  readonly candidates: () => readonly { route(): Promise<ControlAnswer> }[];
  /** A map of a version not below the last; `isNew` where it is above. */
  readonly taken: (map: RouteMap, isNew: boolean) => void;
  /** No node of a round gave a map. */
  readonly failed: (error: Error) => void;
}

export class RouteFetcher {
  /** The newest map. */
  map: RouteMap | undefined;
  /** Rounds begun, and maps that were no maps or older than the newest. */
  rounds = 0;
  refused = 0;
  readonly #parts: RouteFetcherParts;
  /** Rounds since the last newer map. */
  #fruitless = 0;
  #startedAt = Number.NEGATIVE_INFINITY;
  /** Rounds that may begin soon, when the last one began. */
  #credit = NEWER_BURST;
  #isAsking = false;
  /** The newest version that was told of while a round was under way. */
  #toldOf = 0n;
  #dueAt = 0;
  #cancelTimer: (() => void) | undefined;
  #waiters: (() => void)[] = [];
  #closed = false;

  constructor(parts: RouteFetcherParts) {
    this.#parts = parts;
  }

  /** Asks as soon as the limits allow; where a request is under way, after it if its map is older than the one told of. */
  refresh(cause: RouteCause, toldOf = 0n): void {
    if (this.#isAsking && toldOf > this.#toldOf) this.#toldOf = toldOf;
    if (this.#isAsking || this.#closed) return;
    const { clock, random } = this.#parts;
    const now = clock.now();
    const wait = this.#intervalMs(cause, now) * (1 + JITTER * random());
    // The map that comes of a move is told of soon, and a question before it would only put off the next one.
    const isEarly = cause === 'moved' && this.map !== undefined;
    const soonest = cause === 'start' ? now : now + (isEarly ? MOVED_MS : FIRST_MS_MAX * random());
    const dueAt = Math.max(soonest, this.#startedAt + wait);
    if (this.#cancelTimer !== undefined && this.#dueAt <= dueAt) return;
    this.#cancelTimer?.();
    this.#dueAt = dueAt;
    this.#cancelTimer = clock.after(Math.max(0, Math.ceil(dueAt - now)), () => {
      this.#cancelTimer = undefined;
      void this.#round();
    });
  }

  /** Resolves when the next round has ended. */
  afterRound(cause: RouteCause): Promise<void> {
    this.refresh(cause);
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#end();
  }

  #intervalMs(cause: RouteCause, now: number): number {
    if (cause === 'newer' && this.#fruitless < NEWER_FRUITLESS_MAX)
      return this.#creditAt(now) >= 1 ? NEWER_MS : NEWER_REFILL_MS;
    if (cause === 'silence')
      return Math.min(SILENCE_MS * 2 ** Math.min(Math.floor(this.#fruitless / SILENCE_ROUNDS), 8), SILENCE_MS_MAX);
    // A round that brought nothing new is often one that came a moment too soon: only from the second on is it less often.
    return Math.min(MOVED_MS * 2 ** Math.min(Math.max(0, this.#fruitless - 1), 8), MOVED_MS_MAX);
  }

  #creditAt(now: number): number {
    return Math.min(NEWER_BURST, this.#credit + (now - this.#startedAt) / NEWER_REFILL_MS);
  }

  async #round(): Promise<void> {
    const now = this.#parts.clock.now();
    this.#isAsking = true;
    this.#toldOf = 0n;
    this.rounds += 1;
    this.#credit = Math.max(0, this.#creditAt(now) - 1);
    this.#startedAt = now;
    this.#fruitless += 1;
    try {
      const map = await this.#askAll();
      if (this.#closed) return;
      const isNew = this.map === undefined || map.version > this.map.version;
      if (isNew) {
        this.map = map;
        this.#fruitless = 0;
      }
      this.#parts.taken(map, isNew);
    } catch (error) {
      if (!this.#closed) this.#parts.failed(error as Error);
    } finally {
      this.#isAsking = false;
      this.#end();
      if (this.map !== undefined && this.#toldOf > this.map.version) this.refresh('newer');
    }
  }

  /** The first sound map of any candidate; the next one is asked when one fails, or is silent for a while. */
  #askAll(): Promise<RouteMap> {
    const { candidates, clock } = this.#parts;
    const nodes = candidates().slice(0, ASKED_MAX);
    return new Promise((resolve, reject) => {
      let asked = 0;
      let failed = 0;
      let isDone = false;
      let cancelHedge = () => {};
      const askNext = (): void => {
        cancelHedge();
        const node = nodes[asked];
        if (node === undefined || isDone || this.#closed) return;
        asked += 1;
        cancelHedge = clock.after(HEDGE_MS, askNext);
        node.route().then(
          (answer) => {
            const map = this.#sound(answer);
            if (map === undefined) return fail(new Error('expected a route no older than the last, got another'));
            isDone = true;
            cancelHedge();
            resolve(map);
          },
          (error: Error) => fail(error),
        );
      };
      const fail = (error: Error): void => {
        failed += 1;
        if (failed === asked) askNext();
        if (failed < nodes.length) return;
        isDone = true;
        cancelHedge();
        reject(error);
      };
      if (nodes.length === 0) reject(new Error('expected a node to ask for the route, got none'));
      askNext();
    });
  }

  #sound(answer: ControlAnswer): RouteMap | undefined {
    const map = parseRoute(answer);
    if (map !== undefined && (this.map === undefined || map.version >= this.map.version)) return map;
    this.refused += 1;
    return undefined;
  }

  #end(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}
