/** What all parts of one simulated world share: its time, its chance, its plan, what went wrong in it, and what is true of it. */
import type { SimulatedDisk } from './disk.ts';
import { type Chance, FaultCounts, type FaultKind } from './faults.ts';
import { WORLD_BEGINS } from './globals.ts';
import type { SimulatedNode } from './node.ts';
import type { Odds, Plan } from './plan.ts';
import type { Redemptions } from './redemptions.ts';
import type { Scheduler } from './scheduler.ts';
import type { Signatures } from './signatures.ts';
import type { Trace } from './trace.ts';

export interface Totals {
  /** Amounts that payers asked to have committed, claims that reached a node, and those that it committed. */
  asked: number;
  received: number;
  committed: number;
  crashes: number;
  lives: number;
  charges: number;
  changes: number;
  redeemed: number;
  /** Leaves of roots that reached a node, and proofs of leaves that were checked. */
  leaves: number;
  proofs: number;
}

export class World {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly plan: Plan;
  readonly disk: SimulatedDisk;
  readonly signatures: Signatures;
  readonly trace: Trace;
  readonly counts = new FaultCounts();
  readonly totals: Totals = noTotals();
  /** What does not go wrong though the seed has drawn it: to find out by hand what a failure needs. */
  readonly without: ReadonlySet<string>;
  /** What redeems, where the seed has a ledger. */
  redemptions: Redemptions | undefined;
  /** The node that runs, if one does. */
  node: SimulatedNode | undefined;
  /** From then on nothing goes wrong any more, and everything has to come to its end. */
  isCalm = false;
  /** Whether a loss of power has taken what a node with durability `os` had acknowledged. */
  hasForgotten = false;
  /** Claims are asked for again after that: a disk hangs, and it is to be seen what the node says. */
  pausedUntil = 0;
  /** By how much the machine's clock is set wrong, milliseconds. */
  clockOffset = 0;

  constructor(parts: Pick<World, 'scheduler' | 'chance' | 'plan' | 'disk' | 'signatures' | 'trace' | 'without'>) {
    this.scheduler = parts.scheduler;
    this.chance = parts.chance;
    this.plan = parts.plan;
    this.disk = parts.disk;
    this.signatures = parts.signatures;
    this.trace = parts.trace;
    this.without = parts.without;
  }

  /** Milliseconds since 1970 by the machine's clock. */
  get wall(): number {
    return Math.floor(WORLD_BEGINS + this.scheduler.now + this.clockOffset);
  }

  /** Whether something goes wrong now. A draw is made also where nothing may any more. */
  strikes(odds: keyof Odds): boolean {
    const odd = this.plan.odds[odds];
    return odd > 0 && this.chance.is(odd) && !this.isCalm && !this.without.has(odds);
  }

  /** Does something again and again, after this pause on average, until everything is calm. */
  repeat(pauseMs: number, work: () => void): void {
    const next = () => {
      if (this.isCalm) return;
      const again = () => {
        work();
        next();
      };
      this.scheduler.after(this.chance.spread(0, pauseMs), again, this.scheduler.world);
    };
    next();
  }

  happened(kind: FaultKind, what: () => string = () => ''): void {
    this.counts.count(kind);
    this.trace.note(() => `FAULT ${kind} ${what()}`);
  }

  /** Something that must not be is so: the seed has found a fault of the product, or of the simulator. */
  violated(promise: string, what: string): void {
    this.trace.note(() => `VIOLATED ${promise}: ${what}`);
    this.scheduler.fail(new Violation(promise, what));
  }
}

export class Violation extends Error {
  readonly promise: string;
  constructor(promise: string, what: string) {
    super(`${promise}: ${what}`);
    this.promise = promise;
  }
}

export function noTotals(): Totals {
  return {
    asked: 0,
    received: 0,
    committed: 0,
    crashes: 0,
    lives: 0,
    charges: 0,
    changes: 0,
    redeemed: 0,
    leaves: 0,
    proofs: 0,
  };
}
