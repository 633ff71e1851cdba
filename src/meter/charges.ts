/**
 * Charges channels: spends what their claims have committed, durably, once for each key. Main thread.
 *
 * Charges are decided in rounds. A round looks at every account with something to decide, in the order of its calls, and
 * books what the committed amount covers; then one commit makes all of it durable, and only then are the calls answered.
 * The next round begins after that commit, so `spent` is always what the disk says: when a commit fails, nothing was
 * spent. Committed amounts are durable before they are visible, and never fall; so a crash at any moment leaves spent
 * at most committed, and each charge either made and remembered with its key, or not made.
 */
import { DROPS_MAX } from '../../protocol/layout.ts';
import type { ChargeResult } from '../control/meter-control.ts';
import { ClaimwireError } from '../errors.ts';
import { RaisedAmounts } from '../registry/raised.ts';
import type { SideChange, SideTables } from '../registry/side-tables.ts';
import { Account, type Charge } from './account.ts';
import { type AmountWatch, stopping, tooMany, unknownChannel, WAITERS_MAX } from './amount-watch.ts';
import { CHARGES_KEPT, ChargeLog } from './charge-log.ts';
import { decodeSpent, encodeSpent, fingerprintOf, type LoggedCharge, SPENT_TABLE } from './charge-record.ts';
import type { CommittedSource } from './committed-source.ts';
import { deferred } from './deferred.ts';

/** Charges of a round: it bounds how long the event loop is busy, and a commit. */
const ROUND_CHARGES_MAX = 4_096;
/** Accounts kept in memory, besides those with something to decide; others are read again, which takes microseconds. */
const ACCOUNTS_MAX = 16_384;
const KEY_CHARACTERS_MAX = 64;

export interface ChargeOptions {
  key?: string | undefined;
  wait?: boolean;
  signal?: AbortSignal | undefined;
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
  booked: { account: Account; charge: Charge; result: ChargeResult }[];
  logged: LoggedCharge[];
  /** Of accounts that the round has changed. */
  spent: Map<Account, bigint>;
  /** The names of charges whose outcome this round decides. */
  names: Set<string>;
}

export class Charges {
  readonly #source: CommittedSource;
  readonly #tables: SideTables;
  readonly #watch: AmountWatch;
  /** Drops that are committed, but that no claim to this node paid: nothing can be bought with them. */
  readonly #raised: RaisedAmounts;
  readonly #log: ChargeLog;
  readonly #limits: ChargeLimits;
  /** By ledger channel id, in hex; the least recently used first. */
  readonly #accounts = new Map<string, Account>();
  /** Accounts with something to decide. */
  readonly #due = new Set<Account>();
  #undecided = 0;
  #running: Promise<void> | undefined;
  #isStopped = false;

  constructor(
    source: CommittedSource,
    tables: SideTables,
    watch: AmountWatch,
    limits: Partial<ChargeLimits> = {},
    raised = new RaisedAmounts(tables),
  ) {
    this.#raised = raised;
    this.#source = source;
    this.#tables = tables;
    this.#watch = watch;
    this.#limits = { kept: CHARGES_KEPT, undecidedMax: WAITERS_MAX, accountsMax: ACCOUNTS_MAX, ...limits };
    this.#log = new ChargeLog(tables, this.#limits.kept);
  }

  /** See MeterControl. */
  async charge(channelId: bigint, drops: bigint, options: ChargeOptions = {}): Promise<ChargeResult> {
    const { key, wait = true, signal } = options;
    checkCharge(drops, key);
    signal?.throwIfAborted();
    if (this.#isStopped) throw stopping();
    if (this.#undecided >= this.#limits.undecidedMax) throw tooMany();
    const ledgerChannelId = this.#source.ledgerChannelId(channelId);
    if (ledgerChannelId === undefined) throw unknownChannel(channelId);
    const account = this.#account(ledgerChannelId);
    const fingerprint = key === undefined ? undefined : fingerprintOf(ledgerChannelId, key);
    const name = fingerprint?.toString('latin1');
    const decided = deferred<ChargeResult>();
    const { resolve, reject } = decided;
    const charge: Charge = { channelId, drops, fingerprint, name, waits: wait, resolve, reject };
    this.#undecided++;
    account.fresh.add(charge);
    this.#decideSoon(account);
    if (signal === undefined) return decided.promise;
    const abort = () => {
      // A charge that is being committed is made, and its call resolves.
      if (!account.remove(charge)) return;
      this.#refuse(charge, signal.reason);
      this.#decideSoon(account);
    };
    signal.addEventListener('abort', abort, { once: true });
    return decided.promise.finally(() => signal.removeEventListener('abort', abort));
  }

  /** Drops charged on a channel in all, durable. */
  spent(channelId: bigint): bigint {
    const ledgerChannelId = this.#source.ledgerChannelId(channelId);
    if (ledgerChannelId === undefined) throw unknownChannel(channelId);
    return this.#account(ledgerChannelId).spent;
  }

  /** The same by the channel's id on the ledger, also where it is not open. */
  spentOf(ledgerChannelId: Uint8Array): bigint {
    return this.#account(ledgerChannelId).spent;
  }

  /** Refuses what waits, and waits for the commit under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    for (const account of this.#accounts.values())
      for (const charge of [...account.fresh, ...account.waiting])
        if (account.remove(charge)) this.#refuse(charge, stopping());
  }

  #account(ledgerChannelId: Uint8Array): Account {
    const id = Buffer.from(ledgerChannelId).toString('hex');
    let account = this.#accounts.get(id);
    if (account === undefined) {
      account = new Account(ledgerChannelId, decodeSpent(this.#tables.get(SPENT_TABLE, ledgerChannelId)));
      if (this.#accounts.size >= this.#limits.accountsMax) this.#dropIdle();
    } else this.#accounts.delete(id);
    this.#accounts.set(id, account);
    return account;
  }

  /** Forgets the older half of the accounts, but those with something to decide. */
  #dropIdle(): void {
    let looked = 0;
    for (const [id, account] of this.#accounts) {
      if (++looked > this.#limits.accountsMax / 2) return;
      if (account.isIdle) this.#accounts.delete(id);
    }
  }

  #decideSoon(account: Account): void {
    this.#due.add(account);
    if (!this.#isStopped) this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // Calls of one event turn share the first round.
    await new Promise(setImmediate);
    while (this.#due.size > 0 && !this.#isStopped) {
      const round: Round = { booked: [], logged: [], spent: new Map(), names: new Set() };
      const due = [...this.#due];
      this.#due.clear();
      for (const account of due) {
        if (round.booked.length < ROUND_CHARGES_MAX) this.#decide(account, round);
        else this.#due.add(account);
      }
      if (round.booked.length > 0) await this.#commit(round);
    }
    this.#running = undefined;
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
        this.#due.add(account);
        break;
      }
      account.remove(charge);
      if (!this.#decideOne(account, charge, round, account.ahead)) account.wait(charge);
    }
    this.#watchFirst(account, round);
  }

  /**
   * Books, answers or refuses a charge; returns false where it has to wait.
   * @param ahead drops of the charges before it that wait
   */
  #decideOne(account: Account, charge: Charge, round: Round, ahead: bigint): boolean {
    const { channelId, drops, fingerprint, name, waits } = charge;
    const committed = this.#source.committed(channelId);
    if (committed === undefined) return this.#refuse(charge, unknownChannel(channelId));
    const spent = round.spent.get(account) ?? account.spent;
    if (fingerprint !== undefined) {
      if (round.names.has(name!)) return false;
      const earlier = this.#log.find(fingerprint);
      if (earlier !== undefined) return this.#answerRepeated(charge, earlier, account, committed);
    }
    const after = spent + drops;
    if (after < 0n) return this.#refuse(charge, overRefund(channelId, drops, spent));
    const raised = this.#raised.of(account.ledgerChannelId);
    if (drops >= 0n && after + ahead + raised > committed) {
      if (waits) return false;
      return this.#refuse(charge, paymentRequired(channelId, drops, { spent, ahead, raised, committed }));
    }
    account.isBusy = true;
    round.spent.set(account, after);
    round.booked.push({ account, charge, result: { channelId, drops, spent: after, committed, repeated: false } });
    if (fingerprint !== undefined) {
      round.logged.push({ fingerprint, drops, spent: after });
      round.names.add(name!);
    }
    return true;
  }

  #answerRepeated(charge: Charge, earlier: LoggedCharge, account: Account, committed: bigint): true {
    const { channelId, drops } = charge;
    if (earlier.drops !== drops) return this.#refuse(charge, conflict(channelId, drops, earlier.drops));
    this.#undecided--;
    charge.resolve({ channelId, drops, spent: account.spent, committed, repeated: true });
    return true;
  }

  /** Looks at the account again when the committed amount covers the first charge that waits. */
  #watchFirst(account: Account, round: Round): void {
    const [first] = account.waiting;
    if (first === undefined) return;
    const spent = round.spent.get(account) ?? account.spent;
    const decide = () => this.#decideSoon(account);
    try {
      account.unwatch = this.#watch.add(first.channelId, {
        drops: spent + this.#raised.of(account.ledgerChannelId) + first.drops,
        reached: decide,
        failed: decide,
      });
    } catch (error) {
      account.remove(first);
      this.#refuse(first, error);
      this.#due.add(account);
    }
  }

  async #commit({ booked, logged, spent }: Round): Promise<void> {
    const changes: SideChange[] = this.#log.changes(logged);
    for (const [{ ledgerChannelId }, drops] of spent)
      changes.push({ table: SPENT_TABLE, key: ledgerChannelId, value: encodeSpent(drops) });
    let failure: unknown;
    let isCommitted = false;
    try {
      await this.#tables.commit(changes);
      isCommitted = true;
      this.#log.added(logged);
    } catch (error) {
      failure = error;
    }
    for (const [account, drops] of spent) {
      if (isCommitted) account.spent = drops;
      account.isBusy = false;
      // A refund, or a charge that failed, leaves money to the first that waits.
      if (account.waiting.size > 0) this.#due.add(account);
    }
    for (const { charge, result } of booked) {
      if (!isCommitted) this.#refuse(charge, failure);
      else {
        this.#undecided--;
        charge.resolve(result);
      }
    }
  }

  #refuse(charge: Charge, error: unknown): true {
    this.#undecided--;
    charge.reject(error);
    return true;
  }
}

function checkCharge(drops: bigint, key: string | undefined): void {
  if (drops > DROPS_MAX || drops < -DROPS_MAX)
    throw new ClaimwireError('INPUT_INVALID', `drops: expected at most ${DROPS_MAX} either way, got ${drops}`);
  if (key !== undefined && (key.length === 0 || key.length > KEY_CHARACTERS_MAX))
    throw new ClaimwireError('INPUT_INVALID', `key: expected 1 to ${KEY_CHARACTERS_MAX} characters, got ${key.length}`);
}

function overRefund(channelId: bigint, drops: bigint, spent: bigint): ClaimwireError {
  return new ClaimwireError(
    'INPUT_INVALID',
    `channel ${channelId}: expected a refund of at most the ${spent} drops charged, got ${-drops}`,
    { spent: String(spent) },
  );
}

function conflict(channelId: bigint, drops: bigint, earlier: bigint): ClaimwireError {
  return new ClaimwireError(
    'CHARGE_CONFLICT',
    `channel ${channelId}: expected ${earlier} drops, as the charge with this key had, got ${drops}; use another key`,
    { drops: String(earlier) },
  );
}

/** @param amounts drops spent, of charges that wait before it, raised without a claim, and committed */
function paymentRequired(
  channelId: bigint,
  drops: bigint,
  { spent, ahead, raised, committed }: { spent: bigint; ahead: bigint; raised: bigint; committed: bigint },
): ClaimwireError {
  const needed = spent + ahead + raised + drops;
  const missing = needed - committed;
  return new ClaimwireError(
    'PAYMENT_REQUIRED',
    `channel ${channelId}: expected ${needed} drops committed, got ${committed}; claim ${missing} more`,
    { missing: String(missing), spent: String(spent), committed: String(committed) },
  );
}
