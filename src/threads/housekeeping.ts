/**
 * What a running node sees to by itself, several times a second: journal segments ahead of the writers, checkpoints, the
 * rules' clock, and whether claims get on. Main thread.
 */
import { isDiskFull } from '../errors.ts';
import type { Journals } from '../journal/lane-journals.ts';
import { log } from '../log.ts';
import { RuleClock } from '../path/rule-clock.ts';
import type { ChannelStore } from '../registry/channel-store.ts';
import type { Clock } from '../system/system.ts';
import { StallWatch } from './stall-watch.ts';
import type { Topology } from './topology.ts';

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
  clock: Clock;
  /** The node cannot go on. */
  onFailure: (error: Error) => void;
}

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #stopTimer: () => void;
  readonly #stalls: StallWatch;
  readonly #ruleClock: RuleClock;
  #work: Promise<void> | undefined;
  /** Of the monotonic clock: one that was set back would put checkpoints off for as long. */
  #checkpointedAt: number;
  /** When a full disk is tried again, or undefined. */
  #retryAt: number | undefined;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.#stalls = new StallWatch(options.topology.rings, STALL_MS);
    this.#ruleClock = new RuleClock(options.topology.control);
    this.#checkpointedAt = options.clock.monotonic();
    this.#stopTimer = options.clock.every(PERIOD_MS, () => {
      this.#look();
      this.#work ??= this.#keep().finally(() => {
        this.#work = undefined;
      });
    });
  }

  /** Claims taken in do not get on. */
  get isStalled(): boolean {
    return this.#stalls.isStalled;
  }

  /** Ends what is under way and begins nothing more. */
  async stop(): Promise<void> {
    this.#stopTimer();
    await this.#work;
  }

  /** What waits for nothing. */
  #look(): void {
    const { clock } = this.#options;
    this.#ruleClock.advance(clock.wall(), clock.monotonic());
    if (this.#stalls.look(clock.monotonic())) log(this.isStalled ? 'warn' : 'info', this.#stalls.report);
  }

  /** Prepares the next journal segments; checkpoints when one is due, so that old segments can go. */
  async #keep(): Promise<void> {
    const { clock } = this.#options;
    if (this.#retryAt !== undefined && clock.monotonic() < this.#retryAt) return;
    try {
      await this.#makeRoom();
      if (this.#retryAt !== undefined) log('info', 'disk: there is room again');
      this.#retryAt = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (!isDiskFull(error)) {
        this.#options.onFailure(error as Error);
        return;
      }
      // The writers go on in the segments they have, and fail when they need another and there is no room for it.
      if (this.#retryAt === undefined) log('warn', `${message}; going on as long as the journal's segments last`);
      this.#retryAt = clock.monotonic() + DISK_FULL_RETRY_MS;
    }
  }

  async #makeRoom(): Promise<void> {
    const { store, journals, topology, checkpointSeconds, clock } = this.#options;
    // Read before a checkpoint: what older ones hold is in the table by then.
    const segments = topology.journalSegments;
    const isDue = clock.monotonic() - this.#checkpointedAt >= checkpointSeconds * 1_000;
    // The writers should not have to make segments; only on a full disk what lets old ones go comes first.
    const isFull = this.#retryAt !== undefined;
    if (!isFull) await journals.prepare(segments);
    if (isDue || isFull || journals.hasGrown(segments)) {
      await store.checkpoint();
      await journals.release(segments);
      this.#checkpointedAt = clock.monotonic();
    }
    if (isFull) await journals.prepare(segments);
  }
}
