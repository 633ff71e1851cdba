/**
 * A node's heartbeat in the database, from the moment it has entered: also while it still loads its channels, which may take
 * longer than the others wait for a beat. Main thread.
 */
import type { ClaimDatabase, Fence } from '../store/claim-database.ts';
import type { Clock } from '../system/system.ts';

export interface HeartbeatOptions {
  database: Pick<ClaimDatabase, 'beat'>;
  /** By what right the node writes now. */
  fence: () => Fence;
  /** Where the node is found, like udp://10.0.0.1:9393. */
  places: () => readonly string[];
  clock: Pick<Clock, 'every' | 'monotonic'>;
  beatMs: number;
  /** A beat was refused or failed: STORE_FENCED where the node has been taken over. */
  onError: (error: unknown) => void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #end: () => void;
  #underWay: Promise<void> | undefined;
  #hasEnded = false;
  /** Whether the node takes no shards, and gives those away that it has; at first, since it loads its channels then. */
  isLeaving = true;
  /** Beats that were refused or failed. */
  #failed = 0;
  #confirmedAt: number;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#confirmedAt = options.clock.monotonic();
    this.#end = options.clock.every(options.beatMs, () => void this.beat());
    void this.beat();
  }

  /** Beats now; while a beat is under way, that one counts. */
  beat(): Promise<void> {
    this.#underWay ??= this.#beat().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  get figures(): { beatsFailed: number; beatAgeMs: number } {
    return { beatsFailed: this.#failed, beatAgeMs: this.#options.clock.monotonic() - this.#confirmedAt };
  }

  /** Ends it; resolves when no beat is under way. */
  async stop(): Promise<void> {
    this.#hasEnded = true;
    this.#end();
    await this.#underWay;
  }

  async #beat(): Promise<void> {
    const { database, fence, places, clock, onError } = this.#options;
    if (this.#hasEnded) return;
    try {
      await database.beat(fence(), places(), this.isLeaving);
      this.#confirmedAt = clock.monotonic();
    } catch (error) {
      this.#failed++;
      if (!this.#hasEnded) onError(error);
    }
  }
}
