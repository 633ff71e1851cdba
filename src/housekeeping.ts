/**
 * What a running node sees to by itself, several times a second: journal segments ahead of the writers, checkpoints, the
 * rules' clock, and whether claims get on. Main thread.
 */

import { isDiskFull } from './errors.ts';
import type { Journals } from './journal/lane-journals.ts';
import { type Logger, stderrLogger } from './log.ts';
import { RuleClock } from './path/rule-clock.ts';
import type { ChannelStore } from './registry/channel-store.ts';
import { StallWatch } from './threads/stall-watch.ts';
import type { Topology } from './threads/topology.ts';

const PERIOD_MS = 250;
/** A full disk is tried again so often. */
const DISK_FULL_RETRY_MS = 5_000;
/** Claims that wait so long for the disk (or a verifier) make the node not ready. */
const STALL_MS = 5_000;

export interface HousekeepingOptions {
  store: ChannelStore;
  journals: Journals;
  topology: Topology;
  checkpointSeconds: number;
  logger?: Logger;
  /** The node cannot go on. */
  onFailure: (error: Error) => void;
}

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #stalls: StallWatch;
  readonly #ruleClock: RuleClock;
  #work: Promise<void> | undefined;
  /** Of the monotonic clock: one that was set back would put checkpoints off for as long. */
  #checkpointedAt = performance.now();
  /** When a full disk is tried again, or undefined. */
  #retryAt: number | undefined;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.#logger = options.logger ?? stderrLogger;
    this.#stalls = new StallWatch(options.topology.rings, STALL_MS);
    this.#ruleClock = new RuleClock(options.topology.control, this.#logger);
    this.#timer = setInterval(() => {
      this.#look();
      this.#work ??= this.#keep().finally(() => {
        this.#work = undefined;
      });
    }, PERIOD_MS);
  }

  /** Claims taken in do not get on. */
  get isStalled(): boolean {
    return this.#stalls.isStalled;
  }

  /** Ends what is under way and begins nothing more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#work;
  }

  /** What waits for nothing. */
  #look(): void {
    this.#ruleClock.advance(Date.now(), performance.now());
    if (this.#stalls.look(performance.now())) this.#logger[this.isStalled ? 'warn' : 'info'](this.#stalls.report);
  }

  /** Prepares the next journal segments; checkpoints when one is due, so that old segments can go. */
  async #keep(): Promise<void> {
    if (this.#retryAt !== undefined && performance.now() < this.#retryAt) return;
    try {
      await this.#makeRoom();
      if (this.#retryAt !== undefined) this.#logger.info('disk: there is room again');
      this.#retryAt = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (!isDiskFull(error)) {
        this.#options.onFailure(error as Error);
        return;
      }
      // The writers go on in the segments they have, and fail when they need another and there is no room for it.
      if (this.#retryAt === undefined) this.#logger.warn(`${message}; going on as long as the journal's segments last`);
      this.#retryAt = performance.now() + DISK_FULL_RETRY_MS;
    }
  }

  async #makeRoom(): Promise<void> {
    const { store, journals, topology, checkpointSeconds } = this.#options;
    // Read before a checkpoint: what older ones hold is in the table by then.
    const segments = topology.journalSegments;
    const isDue = performance.now() - this.#checkpointedAt >= checkpointSeconds * 1_000;
    // The writers should not have to make segments; only on a full disk what lets old ones go comes first.
    const isFull = this.#retryAt !== undefined;
    if (!isFull) await journals.prepare(segments);
    if (isDue || isFull || journals.hasGrown(segments)) {
      await store.checkpoint();
      await journals.release(segments);
      this.#checkpointedAt = performance.now();
    }
    if (isFull) await journals.prepare(segments);
  }
}
