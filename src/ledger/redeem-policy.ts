/**
 * Redeems by itself: as soon as a payer asks to close, before a channel is cancelled, above an exposure, and at intervals.
 *
 * It looks at some channels each second, so that its work is bounded, and at one at once when told that its ledger view has
 * changed. What fails is tried again, ever later, but several times before the channel ends. Main thread.
 */
import { type Channel, redeemable } from '../channel/row.ts';
import type { LedgerState, RedemptionResult } from '../control/ledger-control.ts';
import type { Logger } from '../log.ts';
import type { Clock } from '../system/system.ts';
import { isMoved } from './shard-tables.ts';
import { endOf } from './view.ts';

/** What the policy goes by. Amounts in drops, times in Unix seconds (0 = never). */
export interface PolicyChannel {
  channelId: bigint;
  committed: bigint;
  /** Paid out on the ledger. */
  redeemed: bigint;
  expiration: number;
  cancelAfter: number;
}

export interface RedeemPolicySettings {
  /** Redeems a channel whose exposure (committed − redeemed) is at least this. */
  aboveDrops?: bigint | undefined;
  /** Redeems a channel with any exposure so long after it was paid last, or after the start. */
  everySeconds?: number | undefined;
  /** So long before CancelAfter redeeming begins. */
  marginSeconds?: number;
}

export interface RedeemPolicyOptions extends RedeemPolicySettings {
  /** Every channel with a view of the ledger. Read on bit by bit, so that it may change meanwhile. */
  channels(): Iterable<PolicyChannel>;
  redeem(channelId: bigint): Promise<RedemptionResult>;
  /** Unix seconds at which a channel was paid last; 0 where that is not known. */
  paidAt(channelId: bigint): number;
  clock: Clock;
  logger: Logger;
}

/** What the policy goes by: the claim that can be redeemed, and what the ledger says. */
export function policyChannel(channel: Channel, state: LedgerState): PolicyChannel {
  const { channelId, committed } = redeemable(channel);
  const { redeemed, expiration, cancelAfter } = state;
  return { channelId, committed, redeemed, expiration, cancelAfter };
}

const MARGIN_SECONDS = 24 * 3_600;
const TICK_MS = 1_000;
/** Some 0.1 ms of work. */
const CHANNELS_PER_TICK = 1_000;
/** Others wait for the next round, so that channels which end soon find a place. */
const RUNNING_MAX = 8;
const URGENT_MAX = 1_000;
/** After the first failure of each kind; doubled after each further one. */
const RETRY_SECONDS = { unreachable: 1, nothing: 30, failed: 30 };
const RETRY_SECONDS_MAX = { unreachable: 30, nothing: 300, failed: 3_600 };
/** This many tries, at least, are left before the end. */
const TRIES_LEFT = 8;
const KEEP_SECONDS = 24 * 3_600;

interface Due {
  reason: string;
  /** Unix seconds of the channel's end, where that is the reason; else 0. */
  end: number;
}

interface DueFacts {
  now: number;
  paidAt: number;
  startedAt: number;
  /** When this Expiration was seen first. */
  noticedAt: number;
  /** No redemption has begun since. */
  isNew: boolean;
}

/**
 * Why a channel is to be redeemed now, or undefined. A payer that goes on paying while its channel ends has it redeemed
 * again each time half of the time that was left has passed, so that little is ever at stake and fees are few.
 */
export function redemptionDue(
  channel: PolicyChannel,
  { aboveDrops, everySeconds, marginSeconds = MARGIN_SECONDS }: RedeemPolicySettings,
  { now, paidAt, startedAt, noticedAt, isNew }: DueFacts,
): Due | undefined {
  const exposure = channel.committed - channel.redeemed;
  if (exposure <= 0n) return undefined;
  const end = endOf(channel);
  // What is late would pay nothing.
  if (end !== 0 && now >= end) return undefined;
  if (end !== 0) {
    const isAsked = channel.expiration === end;
    const begin = isAsked ? noticedAt : end - marginSeconds;
    const from = paidAt < begin || (isAsked && isNew) ? begin : paidAt + (end - paidAt) / 2;
    const reason = isAsked ? 'the payer asked to close it' : 'it is cancelled soon';
    if (now >= from) return { reason, end };
  }
  if (aboveDrops !== undefined && exposure >= aboveDrops)
    return { reason: `its exposure is ${exposure} drops`, end: 0 };
  if (everySeconds !== undefined && now >= (paidAt || startedAt) + everySeconds)
    return { reason: 'its interval has passed', end: 0 };
  return undefined;
}

interface Known {
  /** The Expiration that was seen, and when first. */
  expiration: number;
  noticedAt: number;
  isNew: boolean;
  failures: number;
  notBefore: number;
}

export class RedeemPolicy {
  readonly #options: RedeemPolicyOptions;
  readonly #startedAt: number;
  readonly #known = new Map<bigint, Known>();
  readonly #running = new Set<bigint>();
  readonly #stopTicks: () => void;
  #round: Iterator<PolicyChannel> | undefined;
  #isStopped = false;

  constructor(options: RedeemPolicyOptions) {
    this.#options = options;
    this.#startedAt = this.#now();
    this.#stopTicks = options.clock.every(TICK_MS, () => this.#tick());
  }

  /** Looks at a channel at once; to be called when its view of the ledger has changed. */
  noticed(channel: PolicyChannel): void {
    if (this.#isStopped) return;
    const now = this.#now();
    const { channelId, expiration } = channel;
    let known = this.#known.get(channelId);
    if (expiration !== 0 && known?.expiration !== expiration) {
      known = { expiration, noticedAt: now, isNew: true, failures: 0, notBefore: 0 };
      this.#known.set(channelId, known);
    }
    if (this.#running.has(channelId) || now < (known?.notBefore ?? 0)) return;
    const facts = { now, paidAt: this.#options.paidAt(channelId), startedAt: this.#startedAt };
    const { noticedAt = now, isNew = false } = known ?? {};
    const due = redemptionDue(channel, this.#options, { ...facts, noticedAt, isNew });
    if (due === undefined || this.#running.size >= (due.end !== 0 ? URGENT_MAX : RUNNING_MAX)) return;
    void this.#redeem(channelId, due);
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopTicks();
  }

  #now(): number {
    return Math.floor(this.#options.clock.wall() / 1_000);
  }

  #tick(): void {
    this.#round ??= this.#options.channels()[Symbol.iterator]();
    for (let count = 0; count < CHANNELS_PER_TICK; count++) {
      const { done, value } = this.#round.next();
      if (done === true) {
        this.#round = undefined;
        this.#forget();
        return;
      }
      this.noticed(value);
    }
  }

  /** What is known of channels that ended, or have not failed for long, is dropped after each round. */
  #forget(): void {
    const past = this.#now() - KEEP_SECONDS;
    for (const [channelId, { expiration, notBefore }] of this.#known)
      if (Math.max(expiration, notBefore) < past) this.#known.delete(channelId);
  }

  async #redeem(channelId: bigint, { reason, end }: Due): Promise<void> {
    const { redeem, logger } = this.#options;
    this.#running.add(channelId);
    const known = this.#known.get(channelId);
    if (known !== undefined) known.isNew = false;
    logger.info(`redeem ${channelId}: begins, as ${reason}`);
    try {
      const { outcome, reason: why } = await redeem(channelId);
      if (outcome === 'paid') this.#succeeded(channelId);
      else this.#failed(channelId, end, outcome, why);
    } catch (error) {
      // Whoever has the channel now has a policy of its own.
      if (isMoved(error)) this.#known.delete(channelId);
      else this.#failed(channelId, end, 'unreachable', (error as Error).message);
    } finally {
      this.#running.delete(channelId);
    }
  }

  #succeeded(channelId: bigint): void {
    const known = this.#known.get(channelId);
    if (known?.expiration === 0) this.#known.delete(channelId);
    else if (known !== undefined) known.failures = 0;
  }

  #failed(channelId: bigint, end: number, kind: keyof typeof RETRY_SECONDS, why: string): void {
    if (this.#isStopped) return;
    const now = this.#now();
    const known = this.#known.get(channelId) ?? {
      expiration: 0,
      noticedAt: 0,
      isNew: false,
      failures: 0,
      notBefore: 0,
    };
    let seconds = Math.min(RETRY_SECONDS[kind] * 2 ** known.failures, RETRY_SECONDS_MAX[kind]);
    if (end !== 0) seconds = Math.max(1, Math.min(seconds, Math.floor((end - now) / TRIES_LEFT)));
    known.failures = Math.min(known.failures + 1, 30);
    known.notBefore = now + seconds;
    this.#known.set(channelId, known);
    this.#options.logger.warn(`redeem ${channelId}: ${why}; trying again in ${seconds} s`);
  }
}
