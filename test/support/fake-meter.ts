/**
 * A MeterControl in memory, over rows that a test commits to: what HTTP, the tools and the gateway are tested against. It keeps to
 * the contract of src/control/meter-control.ts, but nothing of it is durable and no signature is checked. Test's thread.
 */
import { decodeClaim } from '../../protocol/claim.ts';
import type { Channel } from '../../src/channel/row.ts';
import type { ChargeResult, CommittedBatch, MeterControl, SubmitResult } from '../../src/control/meter-control.ts';
import { ClaimwireError } from '../../src/errors.ts';

interface Waiter {
  /** Returns whether it is done, by success or failure. */
  attempt(): boolean;
}

export class FakeMeter implements MeterControl {
  /** More calls than this do not wait at a time. */
  waitersMax = 1_000;
  /** Listeners now. */
  readonly listeners = new Set<(batch: CommittedBatch) => void>();
  /** Calls that wait, in order. */
  readonly waiters = new Set<Waiter>();
  readonly #rows: ReadonlyMap<bigint, Channel>;
  readonly #spent = new Map<bigint, bigint>();
  readonly #made = new Map<string, ChargeResult>();

  constructor(rows: ReadonlyMap<bigint, Channel>) {
    this.#rows = rows;
  }

  /** Claims were committed: amounts by channel. */
  commit(...amounts: readonly (readonly [channelId: bigint, committed: bigint])[]): void {
    for (const [channelId, committed] of amounts) this.#row(channelId).committed = committed;
    const batch: CommittedBatch = {
      length: amounts.length,
      channelId: (index) => amounts[index]![0],
      committed: (index) => amounts[index]![1],
    };
    for (const listener of this.listeners) listener(batch);
    for (const waiter of [...this.waiters]) if (waiter.attempt()) this.waiters.delete(waiter);
  }

  async charge(
    channelId: bigint,
    drops: bigint,
    { key, wait = true, signal }: { key?: string | undefined; wait?: boolean; signal?: AbortSignal | undefined } = {},
  ): Promise<ChargeResult> {
    this.#row(channelId);
    if (drops === 0n) throw new ClaimwireError('INPUT_INVALID', 'drops: expected some, got 0');
    if (key !== undefined && (key.length < 1 || key.length > 64))
      throw new ClaimwireError('INPUT_INVALID', `key: expected 1 to 64 characters, got ${key.length}`);
    const done = this.#tryCharge(channelId, drops, key);
    if (done !== undefined) return done;
    if (!wait) throw this.#missing(channelId, drops);
    return this.#wait(() => this.#tryCharge(channelId, drops, key), signal);
  }

  spent(channelId: bigint): bigint {
    return this.#spent.get(channelId) ?? 0n;
  }

  async waitForAmount(
    channelId: bigint,
    drops: bigint,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<bigint> {
    const reached = () => {
      const { committed } = this.#row(channelId);
      return committed >= drops ? committed : undefined;
    };
    return reached() ?? this.#wait(reached, signal);
  }

  onCommitted(listener: (batch: CommittedBatch) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async submit(claim: Uint8Array): Promise<SubmitResult> {
    const { channelId, amount } = decodeClaim(new DataView(claim.buffer, claim.byteOffset, claim.length), 0);
    const row = this.#rows.get(channelId);
    if (row === undefined) return { status: 'UNKNOWN_CHANNEL', committed: 0n };
    if (amount > row.capacity) return { status: 'OVER_CAPACITY', committed: row.committed };
    if (amount <= row.committed) return { status: 'ALREADY', committed: row.committed };
    this.commit([channelId, amount]);
    return { status: 'COMMITTED', committed: amount };
  }

  #tryCharge(channelId: bigint, drops: bigint, key: string | undefined): ChargeResult | undefined {
    const { committed } = this.#row(channelId);
    const name = `${channelId} ${key}`;
    const made = key === undefined ? undefined : this.#made.get(name);
    if (made !== undefined && made.drops !== drops)
      throw new ClaimwireError('CHARGE_CONFLICT', `key ${key}: expected ${made.drops} drops as before, got ${drops}`);
    if (made !== undefined) return { ...made, spent: this.spent(channelId), committed, repeated: true };
    const spent = this.spent(channelId) + drops;
    if (spent < 0n)
      throw new ClaimwireError(
        'INPUT_INVALID',
        `refund: expected at most ${this.spent(channelId)} drops, got ${-drops}`,
      );
    if (spent > committed) return undefined;
    this.#spent.set(channelId, spent);
    const result = { channelId, drops, spent, committed, repeated: false };
    if (key !== undefined) this.#made.set(name, result);
    return result;
  }

  #wait<T>(attempt: () => T | undefined, signal: AbortSignal | undefined): Promise<T> {
    if (this.waiters.size >= this.waitersMax)
      throw new ClaimwireError('NODE_BUSY', `waiters: expected at most ${this.waitersMax}, got one more`);
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        attempt: () => {
          try {
            const result = attempt();
            if (result === undefined) return false;
            resolve(result);
          } catch (error) {
            reject(error);
          }
          return true;
        },
      };
      this.waiters.add(waiter);
      signal?.addEventListener('abort', () => {
        this.waiters.delete(waiter);
        reject(signal.reason);
      });
    });
  }

  #missing(channelId: bigint, drops: bigint): ClaimwireError {
    const { committed } = this.#row(channelId);
    const spent = this.spent(channelId);
    const missing = spent + drops - committed;
    const message = `charge: expected ${spent + drops} drops committed on channel ${channelId}, got ${committed}`;
    return new ClaimwireError('PAYMENT_REQUIRED', message, { channelId, drops, spent, committed, missing });
  }

  #row(channelId: bigint): Channel {
    const row = this.#rows.get(channelId);
    if (row !== undefined) return row;
    throw new ClaimwireError('CHANNEL_UNKNOWN', `channel ${channelId}: expected an opened one, got none`);
  }
}
