/**
 * Redeems best claims on the ledger, each with one transaction and one fee, however often the process ends meanwhile.
 *
 * The order is: sign, write the intent with its hash, submit, wait for the final result, write it. So a process that ends
 * anywhere finds the intent at its next start and looks the hash up before it does anything else. Main thread.
 */
import type { RedemptionResult } from '../control/ledger-control.ts';
import type { NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { SideTables } from '../registry/side-tables.ts';
import type { Span, Spans } from '../spans/spans.ts';
import type { Clock } from '../system/system.ts';
import { fillIn } from './fill-in.ts';
import { untilFinal } from './finality.ts';
import type { FinalTransaction, LedgerChannel, LedgerConnection } from './ledger-port.ts';
import { Places } from './places.ts';
import { balanceAfter, neverRedeemed, redeemTransaction, whyNotNow } from './redeem-rules.ts';
import { type Redemption, type RedemptionEnd, RedemptionJournal } from './redemption-journal.ts';
import type { Wallet } from './signing.ts';
import { unlessAborted } from './unless-aborted.ts';

export interface RedeemerOptions {
  control: Pick<NodeControl, 'channel' | 'closeChannel'>;
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

interface Running {
  close: boolean;
  /** The best claim was taken: a call that comes now may mean a newer one. */
  hasClaim: boolean;
  result: Promise<RedemptionResult>;
}

export class Redeemer {
  readonly #options: RedeemerOptions;
  readonly #journal: RedemptionJournal;
  readonly #running = new Map<bigint, Running>();
  readonly #inFlight = new Places(IN_FLIGHT_MAX);
  /** Sequence numbers are given out one after the other. */
  readonly #account = new Places(1);
  readonly #end = new AbortController();
  readonly #totals = { paid: 0, nothing: 0, failed: 0, never: 0, drops: 0n, feeDrops: 0n };

  /** Reads the redemptions of earlier runs. Throws REGISTRY_CORRUPT. */
  constructor(options: RedeemerOptions) {
    this.#options = options;
    this.#journal = new RedemptionJournal(options.tables);
  }

  /** Goes on with what an earlier run submitted, or was about to. Call once, after the start. */
  resume(): void {
    for (const redemption of this.#journal.pending()) {
      this.#options.logger.info(`redeem ${redemption.channelId}: looking up ${redemption.hash} of an earlier run`);
      this.#start(redemption.channelId, redemption.close, true).catch((error: Error) => {
        if (!this.#end.signal.aborted) this.#options.logger.error(`redeem ${redemption.channelId}: ${error.message}`);
      });
    }
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
    this.#end.abort(new ClaimwireError('NODE_STOPPING', 'redeem: the node stops; its next start goes on with this'));
    await Promise.allSettled([...this.#running.values()].map(({ result }) => result));
  }

  /** Begins after what the channel has running; one channel has one transaction at a time. */
  #start(channelId: bigint, close: boolean, isResumed: boolean): Promise<RedemptionResult> {
    const previous = this.#running.get(channelId)?.result;
    const entry: Running = { close, hasClaim: false, result: Promise.resolve(nothing(channelId, '')) };
    const begin = async () => {
      const before = await previous?.catch(() => undefined);
      const result = await this.#inFlight.run(() => this.#spanned(channelId, entry, isResumed));
      return result.outcome === 'nothing' && before?.outcome === 'paid' && !close ? before : result;
    };
    entry.result = begin();
    this.#running.set(channelId, entry);
    const forget = () => {
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
    const { close } = entry;
    let last: Redemption | undefined;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      this.#end.signal.throwIfAborted();
      const earlier = this.#journal.pendingOf(channelId);
      entry.hasClaim = true;
      const begun = earlier ?? (await this.#begin(channelId, close));
      // After one of an earlier run there may be nothing left to do.
      if (typeof begun === 'string') return last?.state === 'paid' ? resultOf(last) : nothing(channelId, begun);
      span?.event('prepared', preparedFacts(begun));
      last = await this.#settle(begun, span);
      span?.event('final', finalFacts(last));
      span?.set(finalFacts(last));
      if (last.state === 'never') continue;
      if (earlier === undefined || isResumed || last.state === 'failed') return resultOf(last);
    }
    return resultOf(last!);
  }

  /** Signs a transaction and writes it down. Resolves with the reason where none is worth it. */
  async #begin(channelId: bigint, close: boolean): Promise<Redemption | string> {
    const { connection, control, wallet, clock, feeMaxDrops } = this.#options;
    const { signal } = this.#end;
    let row = this.#row(channelId);
    const never = neverRedeemed(row);
    if (never !== undefined && !(close && row.committed === 0n && row.throwAway !== true)) return never;
    const { ledger, channel } = await connection.channel(row.ledgerChannelId, signal);
    const feeDrops = await connection.fee(signal);
    const now = Math.floor(clock.wall() / 1_000);
    const account = wallet.address;
    const reason = whyNotNow({ row, ledger, channel, account, feeDrops, feeMaxDrops, now, close });
    if (reason !== undefined) return reason;
    // A claim that is accepted after the last one was taken for the close would never be paid.
    if (close) {
      if (row.state === 'open') await control.closeChannel(channelId);
      row = this.#row(channelId);
    }
    const transaction = redeemTransaction({ row, channel: channel!, account, close });
    return this.#account.run(async () => {
      const networkId = await connection.networkId(signal);
      const sequence = await this.#sequence(account);
      const complete = fillIn({ ...transaction }, { feeDrops, sequence, networkId, ledger, now });
      const { blob, hash } = await wallet.sign(complete, signal);
      return this.#journal.begin({
        channelId,
        ledgerChannelId: transaction.Channel,
        hash,
        blob,
        sequence,
        firstLedger: ledger.index,
        lastLedger: complete.LastLedgerSequence,
        balanceBefore: channel!.balance,
        balance: balanceAfter(row, channel!),
        feeDrops,
        close,
        startedAt: now,
      });
    });
  }

  #row(channelId: bigint) {
    const row = this.#options.control.channel(channelId);
    if (row !== undefined && row.state !== 'removed') return row;
    throw new ClaimwireError('CHANNEL_UNKNOWN', `channel ${channelId}: expected an opened channel, got none`);
  }

  /**
   * The lowest sequence number that no transaction in flight has. One that can never be validated gives its number back,
   * since those after it wait for it.
   */
  async #sequence(address: string): Promise<number> {
    const account = await this.#options.connection.account(address, this.#end.signal);
    if (account === undefined)
      throw new ClaimwireError('LEDGER_REFUSED', `account ${address}: expected it on the ledger, got none`);
    const taken = new Set(this.#journal.pending().map(({ sequence }) => sequence));
    let { sequence } = account;
    while (taken.has(sequence)) sequence++;
    return sequence;
  }

  async #settle(pending: Redemption, span: Span | undefined): Promise<Redemption> {
    const { connection, clock, logger } = this.#options;
    const { final, preliminary } = await untilFinal(pending, {
      connection,
      clock,
      signal: this.#end.signal,
      onTrouble: ({ message }) => logger.warn(`redeem ${pending.channelId}: ${message}; trying again`),
      withoutHistory: () => this.#withoutHistory(pending),
      onSubmitted: (preliminary) => span?.event('submitted', { 'claimwire.preliminary': preliminary }),
    });
    if (final !== 'never') span?.event('validated', { 'xrpl.ledger': final.ledgerIndex, 'xrpl.result': final.result });
    const endedAt = Math.floor(clock.wall() / 1_000);
    const end = final === 'never' ? neverValidated(preliminary) : endOfFinal(pending, final);
    const ended = await this.#journal.end(pending, { ...end, endedAt });
    if (ended.state === 'paid')
      this.#options.onPaid?.(Buffer.from(pending.ledgerChannelId, 'hex'), pending.balanceBefore + ended.paid);
    this.#totals[end.state]++;
    this.#totals.drops += ended.paid;
    this.#totals.feeDrops += ended.feeDrops;
    const text = `redeem ${ended.channelId}: ${ended.state}, ${ended.paid} drops, ${ended.reason}, ${ended.hash}`;
    if (ended.state === 'failed') logger.error(text);
    else logger.info(text);
    return ended;
  }

  /** What the channel tells where no server has the history: its Balance only grows, and a claim pays only what is new. */
  async #withoutHistory(pending: Redemption): Promise<FinalTransaction | 'never' | undefined> {
    const ledgerChannelId = new Uint8Array(Buffer.from(pending.ledgerChannelId, 'hex'));
    const { ledger, channel } = await this.#options.connection.channel(ledgerChannelId, this.#end.signal);
    if (ledger.index <= pending.lastLedger) return undefined;
    const { hash } = pending;
    if (channel === undefined) return { hash, ledgerIndex: ledger.index, result: 'unknown, the channel is gone' };
    if (channel.balance < pending.balance || pending.balance === pending.balanceBefore) return 'never';
    return { hash, ledgerIndex: ledger.index, result: 'unknown', channel: stateOf(channel) };
  }
}

function preparedFacts({ hash, sequence, feeDrops, balance, balanceBefore }: Redemption) {
  const facts = { 'xrpl.hash': hash, 'xrpl.sequence': sequence, 'xrpl.fee_drops': String(feeDrops) };
  return { ...facts, 'claimwire.drops': String(balance - balanceBefore) };
}

function finalFacts({ state, hash, paid, feeDrops }: Redemption) {
  const facts = { 'claimwire.state': state, 'xrpl.hash': hash };
  return { ...facts, 'claimwire.paid_drops': String(paid), 'xrpl.fee_drops': String(feeDrops) };
}

function stateOf({ ledgerChannelId, amount, balance }: LedgerChannel): NonNullable<FinalTransaction['channel']> {
  return { ledgerChannelId, amount, balance, deleted: false };
}

type End = Omit<RedemptionEnd, 'endedAt'>;

function neverValidated(preliminary: string): End {
  return { state: 'never', paid: 0n, feeDrops: 0n, reason: `never validated, the server said ${preliminary}` };
}

/** Believes only what the metadata says was delivered: on an expired channel tesSUCCESS pays nothing. */
function endOfFinal(pending: Redemption, { result, channel }: FinalTransaction): End {
  const { feeDrops, balanceBefore, balance, close } = pending;
  const paid = channel === undefined ? 0n : channel.balance - balanceBefore;
  if (paid > 0n) return { state: 'paid', paid, feeDrops, reason: close ? `${result}, closed` : result };
  if (result !== 'tesSUCCESS') return { state: 'failed', paid: 0n, feeDrops, reason: result };
  if (close && balance <= balanceBefore) return { state: 'nothing', paid: 0n, feeDrops, reason: 'closed' };
  const reason = `${result}, but it paid nothing: the channel had expired`;
  return { state: 'failed', paid: 0n, feeDrops, reason };
}

function nothing(channelId: bigint, reason: string): RedemptionResult {
  return { channelId, outcome: 'nothing', reason, paid: 0n, feeDrops: 0n, hash: null };
}

function resultOf({ channelId, state, reason, paid, feeDrops, hash }: Redemption): RedemptionResult {
  const outcome = state === 'paid' || state === 'nothing' ? state : 'failed';
  return { channelId, outcome, reason, paid, feeDrops, hash };
}
