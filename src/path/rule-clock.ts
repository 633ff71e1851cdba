/**
 * The time by which channels expire: it never falls, even when the machine's clock is set back. Main thread.
 *
 * A clock set back would reopen expired channels, whose claims the ledger may no longer pay. So the rules use seconds in
 * shared memory that only rise: each thread raises them to its own clock's time once a turn (ControlWords.advanceClock),
 * and while the machine's clock is behind, the main thread advances them by the monotonic clock. A node that starts
 * believes the machine's clock again, so that a clock that was wrongly ahead can be corrected.
 */
import { type Logger, stderrLogger } from '../log.ts';
import type { ControlWords } from '../ring/control-words.ts';

/** A clock that is behind by less is not reported. */
const REPORTED_MS = 5_000;

export class RuleClock {
  readonly #shared: Pick<ControlWords, 'advanceClock'>;
  readonly #logger: Logger;
  #time = 0;
  #seenAt = 0;
  #isBehind = false;

  constructor(shared: Pick<ControlWords, 'advanceClock'>, logger = stderrLogger) {
    this.#shared = shared;
    this.#logger = logger;
  }

  /** Must be called several times a second. @param wall milliseconds since 1970 @param monotonic milliseconds */
  advance(wall: number, monotonic: number): void {
    this.#time = Math.max(wall, this.#time + monotonic - this.#seenAt);
    this.#seenAt = monotonic;
    const shared = this.#shared.advanceClock(Math.floor(this.#time / 1_000));
    this.#time = Math.max(this.#time, shared * 1_000);
    const isBehind = this.#time - wall >= REPORTED_MS;
    if (isBehind && !this.#isBehind)
      this.#logger.warn(
        `clock: set back by ${Math.round((this.#time - wall) / 1_000)} s; what has expired stays so, by the monotonic clock, until it has caught up or the node is started again`,
      );
    this.#isBehind = isBehind;
  }
}
