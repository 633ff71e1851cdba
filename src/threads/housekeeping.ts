/**
 * What a running node does by itself, several times a second: it prepares journal segments, checkpoints, advances the rules'
 * clock, and notices when claims are stuck. Main thread.
 */
import { isDiskFull } from '../errors.ts';
import { type Logger, stderrLogger } from '../log.ts';
import { RuleClock } from '../path/rule-clock.ts';
import type { ChannelStore } from '../registry/channel-store.ts';
import type { ClaimLogs } from '../store/store.ts';
import type { Clock } from '../system/system.ts';
import { StallWatch } from './stall-watch.ts';
import type { Topology } from './topology.ts';

const PERIOD_MS = 250;
/** How often a full disk is tried again. */
const DISK_FULL_RETRY_MS = 5_000;
/** When the node takes no changes any more, which would wait as claims do. */
const STUCK_MS = 5_000;
const STUCK = { waitMsMax: STUCK_MS, lookMs: PERIOD_MS };
/**
 * The node is not ready when claims have waited so long for the disk or a verifier. The third look after they got on is 750 ms
 * later and finds it, also where that is a little early: so the node says so within a second.
 */
const STALLED = { waitMsMax: 700, lookMs: PERIOD_MS, slowMsMax: STUCK_MS };

export interface HousekeepingOptions {
  store: ChannelStore;
  logs: Pick<ClaimLogs, 'prepare' | 'hasGrown' | 'release'>;
  topology: Pick<Topology, 'rings' | 'control' | 'journalSegments'>;
  checkpointSeconds: number;
  clock: Clock;
  logger?: Logger;
  /** Called when the node cannot continue. */
  onFailure: (error: Error) => void;
}

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #logger: Logger;
  readonly #stopTimer: () => void;
  readonly #stalls: StallWatch;
  readonly #stuck: StallWatch;
  readonly #ruleClock: RuleClock;
  #work: Promise<void> | undefined;
  /** By the monotonic clock: a clock that is set back would delay checkpoints. */
  #checkpointedAt: number;
  /** When a full disk is tried again; undefined while there is room. */
  #retryAt: number | undefined;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.#logger = options.logger ?? stderrLogger;
    this.#stalls = new StallWatch(options.topology.rings, STALLED);
    this.#stuck = new StallWatch(options.topology.rings, STUCK);
    this.#ruleClock = new RuleClock(options.topology.control, this.#logger);
    this.#checkpointedAt = options.clock.monotonic();
    this.#stopTimer = options.clock.every(PERIOD_MS, () => {
      this.#look();
      this.#work ??= this.#keep().finally(() => {
        this.#work = undefined;
      });
    });
  }

  /** Whether received claims are stuck. */
  get isStalled(): boolean {
    return this.#stalls.isStalled;
  }
  /** Whether they have been for seconds. */
  get isStuck(): boolean {
    return this.#stuck.isStalled;
  }

  /** Finishes what is under way and begins nothing more. */
  async stop(): Promise<void> {
    this.#stopTimer();
    await this.#work;
  }

  /** Does what never waits. */
  #look(): void {
    const { clock } = this.#options;
    this.#ruleClock.advance(clock.wall(), clock.monotonic());
    this.#stuck.look(clock.monotonic());
    if (this.#stalls.look(clock.monotonic())) this.#logger[this.isStalled ? 'warn' : 'info'](this.#stalls.report);
  }

  /** Makes room in the journals, unless the disk was full a moment ago. */
  async #keep(): Promise<void> {
    const { clock } = this.#options;
    if (this.#retryAt !== undefined && clock.monotonic() < this.#retryAt) return;
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
      // The writers continue in their segments, and fail when they need another that there is no room for.
      if (this.#retryAt === undefined) this.#logger.warn(`${message}; going on as long as the journal's segments last`);
      this.#retryAt = clock.monotonic() + DISK_FULL_RETRY_MS;
    }
  }

  /** Prepares the next journal segments; checkpoints when it is due, so that old segments can be released. */
  async #makeRoom(): Promise<void> {
    const { store, logs, topology, checkpointSeconds, clock } = this.#options;
    // Read before the checkpoint: the table already has the groups of older segments.
    const segments = topology.journalSegments;
    const isDue = clock.monotonic() - this.#checkpointedAt >= checkpointSeconds * 1_000;
    // Segments come first, so that the writers need not make them; on a full disk old ones must be released first.
    const isFull = this.#retryAt !== undefined;
    if (!isFull) await logs.prepare(segments);
    if (isDue || isFull || logs.hasGrown(segments)) {
      await store.checkpoint();
      await logs.release(segments);
      this.#checkpointedAt = clock.monotonic();
    }
    if (isFull) await logs.prepare(segments);
  }
}
