/**
 * One ledger channel's account: what was spent, and the charges that are not decided yet. Main thread.
 */
import type { ChargeResult } from '../control/meter-control.ts';

/** A call of `charge`. It is settled once. */
export interface Charge {
  readonly channelId: bigint;
  readonly drops: bigint;
  /** Of its channel and key, where it has one. */
  readonly fingerprint: Buffer | undefined;
  /** The same as text, the key of a map. */
  readonly name: string | undefined;
  /** Whether it waits for money that is not there yet. */
  readonly waits: boolean;
  resolve(result: ChargeResult): void;
  reject(error: unknown): void;
}

export class Account {
  readonly ledgerChannelId: Uint8Array;
  /** Durable. */
  spent: bigint;
  /** Not looked at yet, in the order of their calls. */
  readonly fresh = new Set<Charge>();
  /** Those that wait for money, in the same order. */
  readonly waiting = new Set<Charge>();
  /** Forgets the amount that the first of `waiting` waits for. */
  unwatch: (() => void) | undefined;
  /** Whether a commit under way changes it. */
  isBusy = false;

  constructor(ledgerChannelId: Uint8Array, spent: bigint) {
    this.ledgerChannelId = ledgerChannelId;
    this.spent = spent;
  }

  /** Drops of all that wait. */
  ahead = 0n;

  wait(charge: Charge): void {
    this.waiting.add(charge);
    this.ahead += charge.drops;
  }
  /** Takes a charge out; returns whether it was undecided. */
  remove(charge: Charge): boolean {
    if (this.waiting.delete(charge)) {
      this.ahead -= charge.drops;
      return true;
    }
    return this.fresh.delete(charge);
  }

  get isIdle(): boolean {
    return !this.isBusy && this.fresh.size === 0 && this.waiting.size === 0;
  }
}
