/**
 * A node's heartbeat in the database, from the moment it has entered: also while it still loads its channels, which may take
 * longer than the others wait for a beat. Main thread.
 */
import type { ClaimwireError } from '../errors.ts';
import type { Clock } from '../system/system.ts';
import type { ClaimDatabase, Fence } from './claim-database.ts';

/** Between two beats of a node. */
export const BEAT_MS = 250;

export interface HeartbeatOptions {
  database: Pick<ClaimDatabase, 'beat'>;
  /** By what right the node writes now. */
  fence: () => Fence;
  clock: Pick<Clock, 'every' | 'monotonic'>;
  beatMs?: number | undefined;
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
  /** Where the node is found, like udp://10.0.0.1:9393; nowhere before it receives. */
  places: () => readonly string[] = () => [];
  /** Called when a beat is confirmed, with when it was sent. */
  onConfirmed: (sentAt: number) => void = () => {};
  /** Who hears of beats that were refused or failed: the store, until the node's part in the cluster does. */
  onError: (error: unknown) => void;
  /** Beats that were refused or failed. */
  #failed = 0;
  /** When the last beat that was confirmed was sent. The others wait from a later moment on. */
  #confirmedAt: number;

  /** Begins to beat. */
  constructor(options: HeartbeatOptions) {
    const { clock, beatMs = BEAT_MS, onError } = options;
    this.#options = options;
    this.onError = onError;
    this.#confirmedAt = clock.monotonic();
    this.#end = clock.every(beatMs, () => void this.beat());
    void this.beat();
  }

  /** Beats now; while a beat is under way, that one counts. */
  beat(): Promise<void> {
    this.#underWay ??= this.#beat().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  get confirmedAt(): number {
    return this.#confirmedAt;
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
    const { database, fence, clock } = this.#options;
    if (this.#hasEnded) return;
    const sentAt = clock.monotonic();
    try {
      await database.beat(fence(), this.places(), this.isLeaving);
      this.#confirmedAt = sentAt;
      this.onConfirmed(sentAt);
    } catch (error) {
      this.#failed++;
      if (!this.#hasEnded) this.onError(error);
    }
  }
}

/** Whether a refusal ends the node: what the database says to its right to write, and what trying again does not mend. */
export function endsNode({ code }: ClaimwireError): boolean {
  return code === 'STORE_FENCED' || code === 'STORE_FAILED';
}
