/**
 * Watches the ledger's channels: looks at each when a transaction touched it, and at all of them at an interval far below
 * their SettleDelay. A list of all may take a minute, so channels that were touched are looked at beside it: the newer ledger
 * counts. A look that fails is made again. Main thread, never on the claim path.
 */
import { setImmediate } from 'node:timers/promises';
import { defaultChannelId, upperHex } from '../channel/parse.ts';
import type { LedgeredNode } from '../control/ledger-control.ts';
import type { Logger } from '../log.ts';
import type { Clock } from '../system/system.ts';
import type { Adopter, SeenChannels } from './adopter.ts';
import type { AutoOpener } from './auto-open.ts';
import type { LedgerChannel, LedgerConnection } from './ledger-port.ts';
import type { LedgerReader } from './reader.ts';
import type { Reconciler } from './reconcile.ts';
import type { LedgerSettings } from './settings.ts';
import { isMoved } from './shard-tables.ts';
import { acceptUntil, type LedgerView, type Sight, viewOf } from './view.ts';
import { isNews, type LedgerViews } from './views.ts';

const TICK_MS = 250;
/** After a failure, unless the interval between polls is shorter. */
const RETRY_MS = 5_000;
const COUNT_STALE_MS = 1_000;
/** Looks that fail with so many channels in them end: the server or the disk is at fault, not a channel. */
const LOOK_FAILURES_MAX = 3;
/** Channels that a poll compares before the event loop has its turn: about 1 ms. */
const TURN_CHANNELS = 256;

/** Work of one kind: there is one at a time, and a pause after it failed. */
interface Attempts {
  work: Promise<void> | undefined;
  retryAt: number;
  /** Why the last one failed; undefined where it did not. */
  failure: string | undefined;
}

export interface LedgerWatcherOptions {
  node: LedgeredNode;
  connection: LedgerConnection;
  reader: LedgerReader;
  views: LedgerViews;
  reconciler: Reconciler;
  settings: LedgerSettings;
  clock: Clock;
  logger: Logger;
  adopter: Adopter;
  /** Undefined where channels are opened by hand alone. */
  autoOpener: AutoOpener | undefined;
  onChange: (view: LedgerView) => void;
}

export class LedgerWatcher {
  readonly #options: LedgerWatcherOptions;
  /** Channels, by their ids in hex, that a transaction has touched since they were looked at. At most as many as are watched. */
  readonly #touched = new Map<string, LedgerView>();
  readonly #endings: (() => void)[] = [];
  #nextPollAt = 0;
  readonly #polls: Attempts = { work: undefined, retryAt: 0, failure: undefined };
  readonly #looks: Attempts = { work: undefined, retryAt: 0, failure: undefined };
  #staleCountedAt = Number.NEGATIVE_INFINITY;
  #last: Promise<unknown> = Promise.resolve();
  #stale = 0;
  /** Entries of the last list that were not read. */
  #skipped = 0;
  #isStopped = false;

  constructor(options: LedgerWatcherOptions) {
    this.#options = options;
  }

  /** Why the last look failed; undefined where it did not. */
  get failure(): string | undefined {
    return this.#polls.failure ?? this.#looks.failure;
  }
  /** Channels whose claims are refused, since the ledger was not seen for too long. */
  get stale(): number {
    return this.#stale;
  }

  start(): void {
    const { connection, settings, clock } = this.#options;
    this.#endings.push(
      connection.onChannelTouched(settings.account, (ledgerChannelId) => this.#touch(ledgerChannelId)),
      clock.every(TICK_MS, () => this.#tick()),
    );
    this.#tick();
  }

  /** Begins nothing more, and waits for what is under way. The caller ends the questions to the ledger before. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const end of this.#endings) end();
    await Promise.all([this.#polls.work, this.#looks.work]);
    await this.#last;
  }

  /** Changes views, and the channels that follow them, one at a time: no older view overwrites a newer one. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Takes note of what a validated transaction has paid in all: of a channel that it closed, no later look tells that. */
  async paid(ledgerChannelId: Uint8Array, drops: bigint): Promise<void> {
    const { views, onChange } = this.#options;
    const known = views.ofLedgerId(ledgerChannelId);
    if (known === undefined || known.redeemed >= drops) return;
    await this.exclusively(async () => {
      const before = views.ofLedgerId(ledgerChannelId);
      if (before === undefined || before.redeemed >= drops) return;
      const view = { ...before, redeemed: drops };
      views.set(view);
      await views.save();
      onChange(view);
    });
  }

  /** Looks at all channels soon, since there are some that were not seen for an unknown time. */
  pollSoon(): void {
    this.#nextPollAt = Math.min(this.#nextPollAt, this.#options.clock.monotonic());
  }

  #touch(ledgerChannelId: Uint8Array): void {
    const { node, views, autoOpener } = this.#options;
    const id = upperHex(ledgerChannelId);
    const view = views.ofLedgerId(ledgerChannelId);
    if (view !== undefined) this.#touched.set(id, view);
    else if (node.holds?.(defaultChannelId(ledgerChannelId)) !== false) autoOpener?.notice();
    this.#tick();
  }

  #tick(): void {
    if (this.#isStopped) return;
    const now = this.#options.clock.monotonic();
    this.#countStale(now);
    if (now >= this.#nextPollAt || this.#options.autoOpener?.isDue(now) === true)
      this.#begin(this.#polls, now, () => this.#poll());
    if (this.#touched.size > 0) this.#begin(this.#looks, now, () => this.#lookAtTouched());
  }

  #begin(attempts: Attempts, now: number, look: () => Promise<void>): void {
    if (attempts.work !== undefined || now < attempts.retryAt) return;
    attempts.work = this.#attempt(attempts, look).finally(() => {
      attempts.work = undefined;
    });
  }

  async #attempt(attempts: Attempts, look: () => Promise<void>): Promise<void> {
    const { logger, settings, clock } = this.#options;
    const before = this.failure;
    try {
      await look();
      attempts.failure = undefined;
      if (before !== undefined && this.failure === undefined) logger.info('ledger: it answers again');
    } catch (error) {
      if (this.#isStopped) return;
      const { message } = error as Error;
      if (this.failure !== message) logger.warn(`ledger: could not look at it, trying again: ${message}`);
      attempts.failure = message;
      attempts.retryAt = clock.monotonic() + Math.min(RETRY_MS, settings.pollSeconds * 1_000);
      if (attempts === this.#polls) this.#nextPollAt = attempts.retryAt;
    }
  }

  /** Looks at those that are touched now; what is touched meanwhile has the next turn. */
  async #lookAtTouched(): Promise<void> {
    const failures: unknown[] = [];
    for (const [id, view] of [...this.#touched]) {
      // Removed before the question: a transaction that comes meanwhile touches it again.
      this.#touched.delete(id);
      try {
        await this.#look(view);
      } catch (error) {
        // The shard of the channel is being given away.
        if (isMoved(error)) continue;
        this.#touched.set(id, view);
        if (failures.push(error) === LOOK_FAILURES_MAX) break;
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  async #look(view: LedgerView): Promise<void> {
    const { sight, channel } = await this.#options.reader.channel(view.ledgerChannelId);
    await this.exclusively(() => this.#apply(view, sight, channel));
  }

  /** Looks at all channels, in one question where the payee's list has them. */
  async #poll(): Promise<void> {
    const { reader, settings, views, clock, autoOpener } = this.#options;
    this.#nextPollAt = clock.monotonic() + settings.pollSeconds * 1_000;
    const { sight, channels, skipped } = await reader.channelsTo(settings.account);
    this.#tellSkipped(skipped);
    const found = new Map(channels.map((channel) => [upperHex(channel.ledgerChannelId), channel]));
    const failures = await this.#compare({ found, sight });
    if (failures.length > 0) throw failures[0];
    await views.polled(sight.clockBehind, settings.account);
    await this.exclusively(() => views.forgetRemoved((id) => found.has(id), sight));
    await autoOpener?.consider(channels, sight, clock.monotonic());
  }

  #tellSkipped(skipped: number): void {
    if (skipped > this.#skipped)
      this.#options.logger.warn(
        `ledger: ${skipped} channels in the list are not read, such as those of another asset than XRP: they are not opened`,
      );
    this.#skipped = skipped;
  }

  /** Compares every watched channel with a list, and takes those under watch that are not yet. Returns what failed. */
  async #compare(seen: SeenChannels): Promise<unknown[]> {
    const { node, settings, views, reconciler, adopter } = this.#options;
    const { found, sight } = seen;
    const failures: unknown[] = [];
    // What fails with one channel must not end the leases of all others.
    await adopter.adopt(seen).catch((error) => failures.push(error));
    let compared = 0;
    for (const view of views.all()) {
      // It went to another node meanwhile.
      if (views.get(view.channelId) === undefined) continue;
      // Nothing new will be seen of these, but what failed at the last look is made good.
      const isOver = !view.exists || node.channel(view.channelId) === undefined;
      if (!isOver && view.destination !== settings.account) continue;
      const channel = found.get(upperHex(view.ledgerChannelId));
      try {
        if (isOver) await this.exclusively(() => reconciler.reconcile(view));
        else if (channel !== undefined) await this.exclusively(() => this.#apply(view, sight, channel));
        // Lists lack channels that are older than the list of what pays an account, so absence is no proof that it is gone.
        else await this.#look(view);
      } catch (error) {
        if (!isMoved(error) && failures.push(error) >= LOOK_FAILURES_MAX) break;
      }
      if (++compared % TURN_CHANNELS === 0) await setImmediate();
    }
    return failures;
  }

  /** Takes note of a channel as a ledger had it; an older ledger than the one known tells nothing. */
  async #apply({ ledgerChannelId }: LedgerView, sight: Sight, channel: LedgerChannel | undefined): Promise<void> {
    const { views, reconciler, onChange } = this.#options;
    const before = views.ofLedgerId(ledgerChannelId);
    if (before === undefined || sight.seenAt < before.seenAt || sight.ledgerIndex < before.ledgerIndex) return;
    const { channelId, followed } = before;
    const seen = channel === undefined ? { ...before, exists: false } : viewOf(channel, sight);
    const view = { ...seen, ...sight, channelId, followed };
    views.set(view);
    // A restriction is in force before anything is written.
    reconciler.lease(view);
    await views.save();
    await reconciler.reconcile(view);
    await views.save();
    if (isNews(before, view)) onChange(view);
  }

  #countStale(now: number): void {
    if (now - this.#staleCountedAt < COUNT_STALE_MS) return;
    this.#staleCountedAt = now;
    const { node, views, logger } = this.#options;
    const { ruleSeconds } = node;
    const stale = views.all().filter((view) => view.exists && isStale(view, ruleSeconds)).length;
    if (stale > this.#stale)
      logger.error(`ledger: not seen for too long: claims of ${stale} channels are refused until it is seen again`);
    this.#stale = stale;
  }
}

/** Whether claims are refused for want of a newer look: with one, they could be accepted. */
function isStale(view: LedgerView, nowSeconds: number): boolean {
  return nowSeconds >= acceptUntil(view) && nowSeconds < acceptUntil({ ...view, seenAt: nowSeconds });
}
