/**
 * One ledger channel's account: what was spent, and the charges that are not decided yet. Main thread.
 */
import type { ChargeResult } from '../control/meter-control.ts';

/** A call of `charge`. It is settled once. */
export interface Charge {
  readonly account: Account;
  readonly channelId: bigint;
  readonly drops: bigint;
  /** Of its channel and key, where it has one: see `fingerprintOf`. */
  readonly name: string | undefined;
  /** Whether it waits for money that is not there yet. */
  readonly waits: boolean;
  readonly resolve: (result: ChargeResult) => void;
  readonly reject: (error: unknown) => void;
  /** Called when the round that books it is about to be committed, with the number of its charges. */
  readonly committing?: ((charges: number) => void) | undefined;
  /** The account's drops once it is made, and those committed when it was booked. */
  spent: bigint;
  committed: bigint;
}

export class Account {
  readonly ledgerChannelId: Uint8Array;
  /** Durable. */
  spent: bigint;
  /** With what a commit under way adds; equal to `spent` while there is none. */
  booked: bigint;
  /** Whether a commit under way changes it. */
  isBusy = false;
  /** Whether the log says that it has spent more than is committed. */
  isBehindTold = false;
  /** Not looked at yet, in the order of their calls. */
  readonly fresh = new Set<Charge>();
  /** Those that wait for money, in the same order. */
  readonly waiting = new Set<Charge>();
  /** Drops of all that wait. */
  ahead = 0n;
  /** Forgets the amount that the first of `waiting` waits for. */
  unwatch: (() => void) | undefined;

  constructor(ledgerChannelId: Uint8Array, spent: bigint) {
    this.ledgerChannelId = ledgerChannelId;
    this.spent = spent;
    this.booked = spent;
  }

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
