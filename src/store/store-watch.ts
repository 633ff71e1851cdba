/**
 * Asks the database every second, on a connection of its own: whether it answers, which is what readiness goes by, and
 * whether this node's epoch is still the database's. An idle node learns so that it was taken over. Main thread.
 */
import { ClaimwireError } from '../errors.ts';
import type { Clock } from '../system/system.ts';
import type { ClaimDatabase, ClusterPulse, Fence } from './claim-database.ts';

const PERIOD_MS = 1_000;
/** Without an answer for so long the node is not ready: a failover of the database takes longer, a slow answer does not. */
const SILENT_MS = 3_000;

export interface StoreWatchOptions {
  database: Pick<ClaimDatabase, 'pulse'>;
  fence: () => Fence;
  clock: Clock;
  /** Called once, when the node was taken over, or the database cannot be asked any more. */
  onFailure: (error: Error) => void;
  onPulse?: (pulse: ClusterPulse) => void;
}

export class StoreWatch {
  readonly #options: StoreWatchOptions;
  readonly #stopTimer: () => void;
  /** By the monotonic clock. */
  #answeredAt: number;
  #isAsking = false;
  #isOver = false;

  /** The database has answered just now. */
  constructor(options: StoreWatchOptions) {
    this.#options = options;
    this.#answeredAt = options.clock.monotonic();
    this.#stopTimer = options.clock.every(PERIOD_MS, () => this.#ask());
  }

  get isAnswering(): boolean {
    return this.silentMs < SILENT_MS;
  }

  /** Milliseconds since it last answered. */
  get silentMs(): number {
    return this.#options.clock.monotonic() - this.#answeredAt;
  }

  stop(): void {
    this.#isOver = true;
    this.#stopTimer();
  }

  #ask(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { database, clock } = this.#options;
    database
      .pulse()
      .then((pulse) => {
        this.#answeredAt = clock.monotonic();
        if (!this.#isOver) this.#look(pulse);
      })
      .catch((error: Error) => this.#fail(error))
      .finally(() => {
        this.#isAsking = false;
      });
  }

  #look(pulse: ClusterPulse): void {
    const { node, epoch } = this.#options.fence();
    const self = pulse.members.find((member) => member.node === node);
    if (self?.epoch === epoch) this.#options.onPulse?.(pulse);
    else
      this.#fail(
        new ClaimwireError(
          'STORE_FENCED',
          `store: expected epoch ${epoch} of ${node} in the database, got ${self?.epoch ?? 'no such member'}; another node took its shards, or it was started twice`,
        ),
      );
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.stop();
    this.#options.onFailure(error);
  }
}
