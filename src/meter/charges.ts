/**
 * Charges channels: spends what their claims have committed, durably, once for each key. Main thread.
 *
 * Charges are decided in rounds. A round looks at every account with something to decide, in the order of its calls, and
 * books what the committed amount covers; then one commit makes all of it durable, and only then are the calls answered.
 * The next round begins after that commit, so `spent` is always what the disk says: when a commit fails, nothing was
 * spent. Committed amounts are durable before they are visible, and never fall; so a crash at any moment leaves spent
 * at most committed, and each charge either made and remembered with its key, or not made.
 */
import { shardOfChannel } from '../../protocol/shard.ts';
import type { ChargeResult } from '../control/meter-control.ts';
import { RaisedAmounts } from '../registry/raised.ts';
import type { SideTables } from '../registry/side-tables.ts';
import { abortable } from './abortable.ts';
import type { Account, Charge } from './account.ts';
import { Accounts } from './accounts.ts';
import { type AmountWatch, stopping, tooMany, unknownChannel, WAITERS_MAX } from './amount-watch.ts';
import { BehindLog } from './behind-log.ts';
import { CHARGES_KEPT } from './charge-log.ts';
import { ChargeLogs } from './charge-logs.ts';
import { encodeSpent, fingerprintOf, SPENT_TABLE } from './charge-record.ts';
import { checkCharge, conflict, moved, overRefund, paymentRequired } from './charge-refusal.ts';
import type { CommittedSource } from './committed-source.ts';
import { Pace } from './pace.ts';
import { reservation } from './reservation.ts';

/** Charges of a round: it bounds how long the event loop is busy, and a commit. */
const ROUND_CHARGES_MAX = 4_096;
/** Accounts kept in memory. */
const ACCOUNTS_MAX = 16_384;

const NO_NAMES: ReadonlySet<string> = new Set();

export interface ChargeOptions {
  key?: string | undefined;
  wait?: boolean;
  signal?: AbortSignal | undefined;
  /** See Charge. */
  committing?: Charge['committing'];
  onReserved?: ((spent: bigint) => void) | undefined;
}

export interface ChargeLimits {
  /** How many keyed charges are remembered. */
  kept: number;
  /** How many charges may wait, for money or for the disk. */
  undecidedMax: number;
  /** How many accounts are kept in memory, if they are idle. */
  accountsMax: number;
}

/** What a round has booked, before it is durable. */
interface Round {
  booked: Charge[];
  /** Those of them that have a key. */
  logged: Charge[];
  /** The names of these: their outcome is decided by this round. */
  names: Set<string>;
  /** Accounts that the round has changed. */
  accounts: Account[];
}

export class Charges {
  readonly #source: CommittedSource;
  readonly #tables: SideTables;
  readonly #watch: AmountWatch;
  /** Drops that are committed, but that no claim to this node paid: nothing can be bought with them. */
  readonly #raised: RaisedAmounts;
  readonly #log: ChargeLogs;
  readonly #limits: ChargeLimits;
  readonly #accounts: Accounts;
  /** Accounts with something to decide. */
  readonly #due = new Set<Account>();
  readonly #behind: BehindLog;
  readonly #pace = new Pace();
  #undecided = 0;
  #made = 0;
  #refunded = 0;
  #running: Promise<void> | undefined;
  /** The commit under way. */
  #underWay: Promise<void> = Promise.resolve();
  /** Shards that are being given away: their channels are charged no more. */
  readonly #drained = new Set<number>();
  #isStopped = false;
  /** The names of the commit under way. */
  #committing = NO_NAMES;
  /** Whether the last commit succeeded: otherwise nothing is reserved. */
  #isWriting = true;

  constructor(
    source: CommittedSource,
    tables: SideTables,
    watch: AmountWatch,
    limits: Partial<ChargeLimits> = {},
    raised = new RaisedAmounts(tables),
    warn: (line: string) => void = () => {},
  ) {
    this.#behind = new BehindLog(warn);
    this.#raised = raised;
    this.#source = source;
    this.#tables = tables;
    this.#watch = watch;
    this.#limits = { kept: CHARGES_KEPT, undecidedMax: WAITERS_MAX, accountsMax: ACCOUNTS_MAX, ...limits };
    this.#accounts = new Accounts(tables, this.#limits.accountsMax);
    this.#log = new ChargeLogs(tables, this.#limits.kept);
  }

  /** Durable ones since the start, refunds among them. */
  get made(): number {
    return this.#made;
  }
  /** The refunds among them. */
  get refunded(): number {
    return this.#refunded;
  }

  /** See MeterControl. */
  charge(channelId: bigint, drops: bigint, options: ChargeOptions = {}): Promise<ChargeResult> {
    const { key, wait = true, signal, onReserved, committing } = options;
    // What is thrown here rejects.
    return new Promise((resolve, reject) => {
      checkCharge(drops, key);
      signal?.throwIfAborted();
      if (this.#isStopped) throw stopping();
      if (this.#undecided >= this.#limits.undecidedMax) throw tooMany();
      const ledgerChannelId = this.#source.ledgerChannelId(channelId);
      if (ledgerChannelId === undefined) throw unknownChannel(channelId);
      if (this.#isDrained(channelId)) throw moved(channelId);
      const account = this.#accounts.get(ledgerChannelId);
      const name = key === undefined ? undefined : fingerprintOf(ledgerChannelId, key);
      // No spread: it would cost each charge a microsecond.
      const charge: Charge = {
        account,
        channelId,
        drops,
        name,
        waits: wait,
        resolve,
        reject,
        committing,
        spent: 0n,
        committed: 0n,
      };
      const reserved = onReserved === undefined ? undefined : this.#reservation(charge);
      this.#undecided++;
      account.fresh.add(signal === undefined ? charge : this.#abortable(charge, signal));
      this.#decideSoon(account, reserved !== undefined);
      if (reserved !== undefined) onReserved!(reserved);
    });
  }

  #abortable(charge: Charge, signal: AbortSignal): Charge {
    return abortable(charge, signal, (aborted) => {
      this.#refuse(aborted, signal.reason);
      this.#decideSoon(charge.account);
    });
  }

  #reservation(charge: Charge): bigint | undefined {
    const { account, channelId, name } = charge;
    const committed = this.#source.committed(channelId);
    if (!this.#isWriting || committed === undefined) return undefined;
    if (name !== undefined && (this.#committing.has(name) || this.#log.find(name, channelId) !== undefined))
      return undefined;
    return reservation(charge, committed - this.#raised.of(account.ledgerChannelId));
  }

  /** Drops charged on a channel in all, durable. */
  spent(channelId: bigint): bigint {
    const ledgerChannelId = this.#source.ledgerChannelId(channelId);
    if (ledgerChannelId === undefined) throw unknownChannel(channelId);
    return this.#accounts.get(ledgerChannelId).spent;
  }

  /** The same by the channel's id on the ledger, also where it is not open. */
  spentOf(ledgerChannelId: Uint8Array): bigint {
    return this.#accounts.get(ledgerChannelId).spent;
  }

  /** Refuses what waits, and waits for the commit under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#pace.hurry();
    await this.#running;
    for (const account of this.#accounts)
      for (const charge of [...account.fresh, ...account.waiting])
        if (account.remove(charge)) this.#refuse(charge, stopping());
  }

  /**
   * Charges no channel of these shards from now on: what waits is refused with MOVED. Resolves when no commit under way has a charge
   * of one.
   */
  async drainShards(shards: readonly number[]): Promise<void> {
    for (const shard of shards) this.#drained.add(shard);
    this.#log.drop(shards);
    for (const account of this.#accounts)
      if ([...account.fresh, ...account.waiting].some(({ channelId }) => this.#isDrained(channelId)))
        this.#decideSoon(account);
    await this.#underWay;
  }

  /** Charges channels of these shards from now on, whose entries the tables have. */
  serveShards(shards: readonly number[]): void {
    this.#accounts.forgetIdle();
    this.#log.load(shards);
    for (const shard of shards) this.#drained.delete(shard);
  }

  /** The tables have no entries of these shards any more, which were drained. */
  dropShards(shards: readonly number[]): void {
    this.#accounts.forgetIdle();
    this.#log.drop(shards);
  }

  #isDrained(channelId: bigint): boolean {
    return this.#drained.size > 0 && this.#drained.has(shardOfChannel(channelId));
  }

  #decideSoon(account: Account, isReserved = false): void {
    this.#due.add(account);
    if (isReserved) this.#pace.saw(this.#due.size);
    else this.#pace.hurry();
    if (!this.#isStopped) this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // Calls of one event turn share the first round.
    await new Promise(setImmediate);
    while (this.#due.size > 0 && !this.#isStopped) {
      const round: Round = { booked: [], logged: [], names: new Set(), accounts: [] };
      for (const account of this.#takeDue(this.#pace.begin(this.#due.size))) {
        if (round.booked.length < ROUND_CHARGES_MAX) this.#decide(account, round);
        else this.#decideSoon(account);
      }
      if (round.booked.length === 0) continue;
      this.#underWay = this.#commit(round);
      await this.#underWay;
      if (this.#due.size > 0) await this.#pace.gather(this.#due.size);
    }
    this.#running = undefined;
  }

  /** So many of the accounts that are due, those first that have been so for longest. */
  #takeDue(count: number): Account[] {
    const taken: Account[] = [];
    for (const account of this.#due) {
      if (taken.length >= count) break;
      this.#due.delete(account);
      taken.push(account);
    }
    return taken;
  }

  /** Decides what can be decided of an account: first those that waited, then the fresh ones, each in order. */
  #decide(account: Account, round: Round): void {
    account.unwatch?.();
    account.unwatch = undefined;
    for (const charge of account.waiting) {
      if (round.booked.length >= ROUND_CHARGES_MAX || !this.#decideOne(account, charge, round, 0n)) break;
      account.remove(charge);
    }
    for (const charge of account.fresh) {
      if (round.booked.length >= ROUND_CHARGES_MAX || (charge.name !== undefined && round.names.has(charge.name))) {
        // Its namesake's outcome is not durable yet: the next round will know.
        this.#decideSoon(account);
        break;
      }
      account.remove(charge);
      if (!this.#decideOne(account, charge, round, account.ahead)) account.wait(charge);
    }
    this.#watchFirst(account);
  }

  /** A table that can not be read is the fault of the one charge that needs it. */
  #decideOne(account: Account, charge: Charge, round: Round, ahead: bigint): boolean {
    try {
      return this.#book(account, charge, round, ahead);
    } catch (error) {
      return this.#refuse(charge, error);
    }
  }

  /**
   * Books, answers or refuses a charge; returns false where it has to wait. What throws has booked nothing.
   * @param ahead drops of the charges before it that wait
   */
  #book(account: Account, charge: Charge, round: Round, ahead: bigint): boolean {
    const { channelId, drops, name, waits } = charge;
    const committed = this.#source.committed(channelId);
    if (committed === undefined) return this.#refuse(charge, unknownChannel(channelId));
    if (this.#isDrained(channelId)) return this.#refuse(charge, moved(channelId));
    if (name !== undefined) {
      if (round.names.has(name)) return false;
      const earlier = this.#log.find(name, channelId);
      if (earlier !== undefined) return this.#answerRepeated(charge, earlier, committed);
    }
    const spent = account.booked;
    const after = spent + drops;
    if (after < 0n) return this.#refuse(charge, overRefund(channelId, drops, spent));
    const raised = this.#raised.of(account.ledgerChannelId);
    if (drops >= 0n && after + ahead + raised > committed) {
      if (spent > committed) this.#behind.tell(account, channelId, committed);
      if (waits) return false;
      return this.#refuse(charge, paymentRequired(channelId, drops, { spent, ahead, raised, committed }));
    }
    if (!account.isBusy) round.accounts.push(account);
    account.isBusy = true;
    account.booked = after;
    charge.spent = after;
    charge.committed = committed;
    round.booked.push(charge);
    if (name !== undefined) {
      round.logged.push(charge);
      round.names.add(name);
    }
    return true;
  }

  #answerRepeated(charge: Charge, earlier: bigint, committed: bigint): true {
    const { account, channelId, drops } = charge;
    if (earlier !== drops) return this.#refuse(charge, conflict(channelId, drops, earlier));
    return this.#answer(charge, { channelId, drops, spent: account.spent, committed, repeated: true });
  }

  /** Looks at the account again when the committed amount covers the first charge that waits. */
  #watchFirst(account: Account): void {
    const [first] = account.waiting;
    if (first === undefined) return;
    const decide = () => this.#decideSoon(account);
    try {
      account.unwatch = this.#watch.add(first.channelId, {
        drops: account.booked + this.#raised.of(account.ledgerChannelId) + first.drops,
        reached: decide,
        failed: decide,
      });
    } catch (error) {
      account.remove(first);
      this.#refuse(first, error);
      this.#decideSoon(account);
    }
  }

  async #commit({ booked, logged, names, accounts }: Round): Promise<void> {
    let failure: unknown;
    let isCommitted = false;
    this.#committing = names;
    for (const { committing } of booked) committing?.(booked.length);
    try {
      const changes = this.#log.changes(logged);
      // Of an account's channels the last one counts: one ledger channel has one handle at a time.
      const shards = new Map<Account, number>();
      if (this.#tables.isSharded === true)
        for (const { account, channelId } of booked) shards.set(account, shardOfChannel(channelId));
      for (const account of accounts) {
        const { ledgerChannelId, booked: drops } = account;
        const shard = shards.get(account);
        changes.push({ table: SPENT_TABLE, key: ledgerChannelId, value: encodeSpent(drops), shard });
      }
      await this.#tables.commit(changes);
      isCommitted = true;
      this.#log.added();
    } catch (error) {
      failure = error;
    }
    this.#committing = NO_NAMES;
    this.#isWriting = isCommitted;
    for (const account of accounts) {
      if (isCommitted) account.spent = account.booked;
      else account.booked = account.spent;
      account.isBusy = false;
      // A refund, or a charge that failed, leaves money to the first that waits.
      if (account.waiting.size > 0) this.#decideSoon(account);
    }
    if (isCommitted) this.#made += booked.length;
    for (const charge of booked) {
      const { channelId, drops, spent, committed } = charge;
      if (isCommitted && drops < 0n) this.#refunded++;
      if (isCommitted) this.#answer(charge, { channelId, drops, spent, committed, repeated: false });
      else this.#refuse(charge, failure);
    }
  }

  #answer(charge: Charge, result: ChargeResult): true {
    this.#undecided--;
    charge.resolve(result);
    return true;
  }

  #refuse(charge: Charge, error: unknown): true {
    this.#undecided--;
    charge.reject(error);
    return true;
  }
}
