/**
 * The time by which channels expire: never earlier than any thread has seen it, whatever becomes of the machine's clock.
 *
 * Main thread. A clock that is set back would open channels again that have expired, and whose claims the ledger may not
 * pay any more. So the seconds the rules go by are a word in shared memory that only rises: each thread raises it to its
 * own clock's time once a turn (ControlWords.advanceClock), and the main thread carries it on by the monotonic clock
 * while the other one is behind. A start goes by the machine's clock again, so that a clock that was wrongly ahead can be
 * put right.
 */
import { type Logger, stderrLogger } from '../log.ts';

/** A clock behind by less is not worth a line. */
const REPORTED_MS = 5_000;

export interface SharedClock {
  /** Raises the shared seconds to `seconds`, if they are less, and returns them. */
  advanceClock(seconds: number): number;
}

export class RuleClock {
  readonly #shared: SharedClock;
  readonly #logger: Logger;
  #time = 0;
  #seenAt = 0;
  #isBehind = false;

  constructor(shared: SharedClock, logger = stderrLogger) {
    this.#shared = shared;
    this.#logger = logger;
  }

  /** To be called several times a second. @param wall milliseconds since 1970 @param monotonic milliseconds */
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
