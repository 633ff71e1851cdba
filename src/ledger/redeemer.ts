/**
 * Redeems best claims on the ledger, each with one transaction and one fee, however often the process ends meanwhile.
 *
 * The order is: sign, write the intent with its hash, submit, wait for the final result, write it. So a process that ends
 * anywhere finds the intent at its next start and looks the hash up before it does anything else. Where nodes share a store,
 * whoever gets the channel's shard does that: a redemption under way at the giver ends there without a word. Main thread.
 */
import { shardOfChannel } from '../../protocol/shard.ts';
import type { LedgeredNode, RedemptionResult } from '../control/ledger-control.ts';
import type { NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { SideTables } from '../registry/side-tables.ts';
import type { Span, Spans } from '../spans/spans.ts';
import type { Clock } from '../system/system.ts';
import { untilFinal } from './finality.ts';
import type { FinalTransaction, LedgerConnection } from './ledger-port.ts';
import { Places } from './places.ts';
import {
  endOfFinal,
  finalFacts,
  neverValidated,
  nothing,
  preparedFacts,
  resultOf,
  stateOf,
} from './redemption-ends.ts';
import { REDEMPTIONS_TABLE, type Redemption, RedemptionJournal } from './redemption-journal.ts';
import { RedemptionMaker } from './redemption-maker.ts';
import { isMoved } from './shard-tables.ts';
import type { ShardPart } from './shards.ts';
import type { Wallet } from './signing.ts';
import { unlessAborted } from './unless-aborted.ts';

export interface RedeemerOptions {
  control: Pick<NodeControl, 'channel' | 'closeChannel'> & Pick<LedgeredNode, 'holds'>;
  connection: LedgerConnection;
  tables: SideTables;
  wallet: Wallet;
  clock: Clock;
  logger: Logger;
  /** Drops that a redemption may cost. */
  feeMaxDrops: bigint;
  /** Called with a channel that was paid, and the drops paid in all. Must not throw. */
  onPaid?: (ledgerChannelId: Uint8Array, drops: bigint) => void;
  /** Each redemption gets a span there. */
  spans?: Spans | undefined;
}

/** What the transactions of redemptions came to since the start. Amounts in drops. */
export interface RedemptionTotals {
  paid: number;
  nothing: number;
  failed: number;
  never: number;
  /** Written, and not final yet; also those of earlier runs. */
  pending: number;
  drops: bigint;
  feeDrops: bigint;
}

/** A server queues ten transactions of an account; the others of these wait here. */
const IN_FLIGHT_MAX = 8;
/** Transactions made for one redemption, each after the one before could no longer be validated and so cost nothing. */
const ATTEMPTS_MAX = 5;
/** The same where another node of the account was quicker with a sequence number, which costs one ledger's time. */
const OUTRUNS_MAX = 64;

interface Running {
  channelId: bigint;
  close: boolean;
  /** The best claim was taken: a call that comes now may mean a newer one. */
  hasClaim: boolean;
  /** Ends the waiting. */
  end: AbortController;
  result: Promise<RedemptionResult>;
}

export class Redeemer implements ShardPart {
  readonly table = REDEMPTIONS_TABLE;
  readonly #options: RedeemerOptions;
  readonly #journal: RedemptionJournal;
  readonly #maker: RedemptionMaker;
  /** The last of each channel: what is asked for next follows it. */
  readonly #running = new Map<bigint, Running>();
  /** All of them, also those that others of their channel follow. */
  readonly #active = new Set<Running>();
  readonly #inFlight = new Places(IN_FLIGHT_MAX);
  #stopped: ClaimwireError | undefined;
  #isStarted = false;
  readonly #totals = { paid: 0, nothing: 0, failed: 0, never: 0, drops: 0n, feeDrops: 0n };

  /** Reads the redemptions of earlier runs. Throws REGISTRY_CORRUPT. */
  constructor(options: RedeemerOptions) {
    this.#options = options;
    this.#journal = new RedemptionJournal(options.tables);
    this.#maker = new RedemptionMaker(options, this.#journal);
  }

  /** Goes on with what an earlier run submitted, or was about to. Call once, after the start. */
  resume(): void {
    this.#isStarted = true;
    for (const redemption of this.#journal.pending()) this.#resume(redemption);
  }

  #resume({ channelId, hash, close }: Redemption): void {
    const { logger } = this.#options;
    logger.info(`redeem ${channelId}: looking up ${hash} of an earlier run or another node`);
    this.#start(channelId, close, true).catch((error: Error) => {
      if (this.#stopped === undefined && !isMoved(error)) logger.error(`redeem ${channelId}: ${error.message}`);
    });
  }

  /**
   * Leaves the redemptions of these shards to whoever gets them: begins none, and ends the waiting. What is under way of the
   * journal's commits ends soon, which the tables tell (shard-tables.ts).
   */
  drain(shards: ReadonlySet<number>): void {
    this.#journal.drain(shards);
    for (const { channelId, end } of this.#active)
      if (shards.has(shardOfChannel(channelId))) end.abort(movedOf(channelId));
  }
  /** Goes on with those of these shards. Throws REGISTRY_CORRUPT. @param entries of the journal, where they are new here */
  serve(shards: ReadonlySet<number>, entries: Iterable<readonly [Uint8Array, Uint8Array]>): void {
    this.#journal.serve(shards);
    for (const redemption of this.#journal.load(entries)) if (redemption.state === 'paid') this.#tellPaid(redemption);
    if (!this.#isStarted) return;
    for (const redemption of this.#journal.pending())
      if (shards.has(shardOfChannel(redemption.channelId))) this.#resume(redemption);
  }
  drop(shards: ReadonlySet<number>): void {
    this.#journal.drop(shards);
  }

  /**
   * Redeems the best claim of a channel and waits for the final result. The signal ends the waiting only: the redemption
   * goes on. A call for a channel that waits to be redeemed joins it; one that comes later follows it with what is new.
   * @throws ClaimwireError CHANNEL_UNKNOWN, LEDGER_UNREACHABLE, LEDGER_REFUSED, WALLET_INVALID, REGISTRY_FULL, NODE_STOPPING
   */
  redeem(
    channelId: bigint,
    { close = false, signal }: { close?: boolean; signal?: AbortSignal | undefined } = {},
  ): Promise<RedemptionResult> {
    const running = this.#running.get(channelId);
    const isJoined = running !== undefined && !running.hasClaim && (running.close || !close);
    return unlessAborted(isJoined ? running.result : this.#start(channelId, close, false), signal);
  }

  /** The newest transactions, newest first. */
  history(limit: number): Redemption[] {
    return this.#journal.newest(limit);
  }

  get totals(): RedemptionTotals {
    return { ...this.#totals, pending: this.#journal.pending().length };
  }

  /** Unix seconds at which a channel was paid last; 0 where that is not known. */
  paidAt(channelId: bigint): number {
    return this.#journal.paidAt(channelId);
  }

  /** Ends the waiting. What was submitted is looked up at the next start. */
  async stop(): Promise<void> {
    const reason = new ClaimwireError('NODE_STOPPING', 'redeem: the node stops; its next start goes on with this');
    this.#stopped = reason;
    const running = [...this.#active];
    for (const { end } of running) end.abort(reason);
    await Promise.allSettled(running.map(({ result }) => result));
  }

  /** Begins after what the channel has running; one channel has one transaction at a time. */
  #start(channelId: bigint, close: boolean, isResumed: boolean): Promise<RedemptionResult> {
    const previous = this.#running.get(channelId)?.result;
    const end = new AbortController();
    if (this.#stopped !== undefined) end.abort(this.#stopped);
    const entry: Running = { channelId, close, hasClaim: false, end, result: Promise.resolve(nothing(channelId, '')) };
    const begin = async () => {
      const before = await previous?.catch(() => undefined);
      const result = await this.#inFlight.run(() => this.#spanned(channelId, entry, isResumed));
      return result.outcome === 'nothing' && before?.outcome === 'paid' && !close ? before : result;
    };
    entry.result = begin();
    this.#running.set(channelId, entry);
    this.#active.add(entry);
    const forget = () => {
      this.#active.delete(entry);
      if (this.#running.get(channelId) === entry) this.#running.delete(channelId);
    };
    entry.result.then(forget, forget);
    return entry.result;
  }

  async #spanned(channelId: bigint, entry: Running, isResumed: boolean): Promise<RedemptionResult> {
    const span = this.#options.spans?.begin('redeem', { isRare: true });
    span?.set({
      'claimwire.channel': String(channelId),
      'claimwire.close': entry.close,
      'claimwire.resumed': isResumed,
    });
    try {
      const result = await this.#redeem(channelId, entry, isResumed, span);
      span?.set({ 'claimwire.result': result.outcome, 'claimwire.reason': result.reason });
      span?.end(result.outcome === 'failed' ? result.reason : undefined);
      return result;
    } catch (error) {
      span?.end(error);
      throw error;
    }
  }

  async #redeem(
    channelId: bigint,
    entry: Running,
    isResumed: boolean,
    span: Span | undefined,
  ): Promise<RedemptionResult> {
    const { signal } = entry.end;
    let last: Redemption | undefined;
    for (let attempts = 0, outruns = 0; attempts < ATTEMPTS_MAX && outruns < OUTRUNS_MAX; ) {
      signal.throwIfAborted();
      const earlier = this.#journal.pendingOf(channelId);
      // What another node had under way may have ended with its last commit there.
      if (earlier === undefined && isResumed && last === undefined) return nothing(channelId, 'it has ended already');
      entry.hasClaim = true;
      const begun = earlier ?? (await this.#maker.make(channelId, entry.close, signal));
      // After one of an earlier run there may be nothing left to do.
      if (typeof begun === 'string') return last?.state === 'paid' ? resultOf(last) : nothing(channelId, begun);
      span?.event('prepared', preparedFacts(begun));
      const { ended, isOutrun } = await this.#settle(begun, signal, span);
      last = ended;
      span?.event('final', finalFacts(last));
      span?.set(finalFacts(last));
      if (last.state !== 'never') {
        if (earlier === undefined || isResumed || last.state === 'failed') return resultOf(last);
      } else if (isOutrun) outruns++;
      else attempts++;
    }
    return resultOf(last!);
  }

  async #settle(
    pending: Redemption,
    signal: AbortSignal,
    span: Span | undefined,
  ): Promise<{ ended: Redemption; isOutrun: boolean }> {
    const { connection, clock, logger } = this.#options;
    const { final, preliminary, isOutrun } = await untilFinal(pending, {
      connection,
      clock,
      signal,
      onTrouble: ({ message }) => logger.warn(`redeem ${pending.channelId}: ${message}; trying again`),
      withoutHistory: () => this.#withoutHistory(pending, signal),
      onSubmitted: (preliminary) => span?.event('submitted', { 'claimwire.preliminary': preliminary }),
    });
    signal.throwIfAborted();
    if (final !== 'never') span?.event('validated', { 'xrpl.ledger': final.ledgerIndex, 'xrpl.result': final.result });
    const endedAt = Math.floor(clock.wall() / 1_000);
    const end = final === 'never' ? neverValidated(preliminary, isOutrun) : endOfFinal(pending, final);
    const ended = await this.#journal.end(pending, { ...end, endedAt });
    if (ended.state === 'paid') this.#tellPaid(ended);
    this.#totals[end.state]++;
    this.#totals.drops += ended.paid;
    this.#totals.feeDrops += ended.feeDrops;
    const text = `redeem ${ended.channelId}: ${ended.state}, ${ended.paid} drops, ${ended.reason}, ${ended.hash}`;
    if (ended.state === 'failed') logger.error(text);
    else logger.info(text);
    return { ended, isOutrun };
  }

  #tellPaid({ ledgerChannelId, balanceBefore, paid }: Redemption): void {
    this.#options.onPaid?.(Buffer.from(ledgerChannelId, 'hex'), balanceBefore + paid);
  }

  /** What the channel tells where no server has the history: its Balance only grows, and a claim pays only what is new. */
  async #withoutHistory(pending: Redemption, signal: AbortSignal): Promise<FinalTransaction | 'never' | undefined> {
    const ledgerChannelId = new Uint8Array(Buffer.from(pending.ledgerChannelId, 'hex'));
    const { ledger, channel } = await this.#options.connection.channel(ledgerChannelId, signal);
    if (ledger.index <= pending.lastLedger) return undefined;
    const { hash } = pending;
    if (channel === undefined) return { hash, ledgerIndex: ledger.index, result: 'unknown, the channel is gone' };
    if (channel.balance < pending.balance || pending.balance === pending.balanceBefore) return 'never';
    return { hash, ledgerIndex: ledger.index, result: 'unknown', channel: stateOf(channel) };
  }
}

/** Why the waiting ends here. */
function movedOf(channelId: bigint): ClaimwireError {
  const message = `redeem ${channelId}: expected a channel of this node's shards, got one that is given to another node, which goes on with it; ask for the route`;
  return new ClaimwireError('MOVED', message, { channelId: String(channelId) });
}
