/** Asks every few seconds how far the standbys are. What it finds is told to operators, and decides nothing. Main thread. */
import type { Clock } from '../system/system.ts';
import type { ClaimDatabase } from './claim-database.ts';
import type { ReplicationFigures } from './store-figures.ts';

const PERIOD_MS = 5_000;
/** An older answer is none. */
const KEPT_MS = 3 * PERIOD_MS;

export class ReplicationWatch {
  readonly #clock: Clock;
  readonly #stopTimer: () => void;
  #seen: { at: number; figures: ReplicationFigures | null } | undefined;
  #isAsking = false;

  constructor(database: Pick<ClaimDatabase, 'replication'>, clock: Clock) {
    this.#clock = clock;
    const ask = () => {
      const answer = this.#isAsking ? undefined : database.replication?.();
      if (answer === undefined) return;
      this.#isAsking = true;
      answer
        .then((figures) => {
          this.#seen = { at: clock.monotonic(), figures };
        })
        // Who needs the database says so; this is a look from beside.
        .catch(() => {})
        .finally(() => {
          this.#isAsking = false;
        });
    };
    ask();
    this.#stopTimer = clock.every(PERIOD_MS, ask);
  }

  /** Null where nobody has answered for a while, or the database has nothing of the kind. */
  get figures(): ReplicationFigures | null {
    const isOld = this.#seen === undefined || this.#clock.monotonic() - this.#seen.at > KEPT_MS;
    return isOld ? null : this.#seen!.figures;
  }

  stop(): void {
    this.#stopTimer();
  }
}
