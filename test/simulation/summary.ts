/** What many seeds came to, for people and for programs. */
import { FAULT_KINDS, type FaultKind } from './faults.ts';
import type { SeedResult } from './simulate.ts';
import type { Totals } from './world.ts';

export class Summary {
  seeds = 0;
  events = 0;
  readonly failures: SeedResult[] = [];
  readonly faults = new Map<FaultKind, number>(FAULT_KINDS.map((kind) => [kind, 0]));
  readonly totals: Totals = {
    asked: 0,
    received: 0,
    committed: 0,
    crashes: 0,
    lives: 0,
    charges: 0,
    changes: 0,
    redeemed: 0,
  };

  add(result: SeedResult): void {
    this.seeds++;
    this.events += result.events;
    for (const [kind, count] of result.faults) this.faults.set(kind, this.faults.get(kind)! + count);
    for (const name of Object.keys(this.totals) as (keyof Totals)[]) this.totals[name] += result.totals[name];
    if (result.failure !== undefined) this.failures.push(result);
  }

  toJSON(seconds: number): object {
    const { seeds, events, totals, faults, failures } = this;
    return { seeds, events, seconds, ...totals, faults: Object.fromEntries(faults), failures };
  }

  /** @param traced failing seeds that were run again with a trace */
  text(seconds: number, traced: readonly SeedResult[]): string {
    const { asked, received, committed, crashes, lives, charges, changes, redeemed } = this.totals;
    const lines = [...this.faults].map(([kind, count]) => `${kind.padEnd(30)}${String(count).padStart(9)}`);
    for (const { seed, failure, plan } of traced)
      lines.push('', `seed ${seed}: ${failure?.what}`, ...(failure?.trace ?? []), JSON.stringify(plan));
    for (const { seed, failure } of this.failures)
      lines.push('', `seed ${seed}: ${failure!.what}`, `  make simulate SEED=${seed}`);
    lines.push(
      '',
      `${this.seeds} seeds in ${seconds.toFixed(0)} s: ${lives} lives, ${crashes} crashes, ${asked} claims asked for, ${received} received,`,
      `${committed} committed, ${charges} charges, ${changes} changes of channels, ${redeemed} redemptions, ${this.events} events; ${this.failures.length} failed`,
    );
    return `${lines.join('\n')}\n`;
  }
}
