/** What many seeds came to, for people and for programs. */
import { FAULT_KINDS, type FaultKind } from './faults.ts';
import type { Shrunk } from './shrink.ts';
import type { SeedResult } from './simulate.ts';
import { noTotals, type Totals } from './world.ts';

export class Summary {
  seeds = 0;
  events = 0;
  readonly failures: SeedResult[] = [];
  readonly faults = new Map<FaultKind, number>(FAULT_KINDS.map((kind) => [kind, 0]));
  readonly totals: Totals = noTotals();

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

  text(seconds: number): string {
    const { asked, received, committed, crashes, lives, charges, changes, redeemed, leaves, proofs } = this.totals;
    const lines = [...this.faults].map(([kind, count]) => `${kind.padEnd(30)}${String(count).padStart(9)}`);
    for (const { seed, failure } of this.failures)
      lines.push('', `seed ${seed}: ${failure!.what}`, `  make simulate SEED=${seed}`);
    lines.push(
      '',
      `${this.seeds} seeds in ${seconds.toFixed(0)} s: ${lives} lives, ${crashes} crashes, ${asked} claims asked for, ${received} received,`,
      `of these ${leaves} leaves of roots, ${proofs} proofs of leaves checked; ${committed} committed, ${charges} charges, ${changes} changes of channels, ${redeemed} redemptions, ${this.events} events; ${this.failures.length} failed`,
    );
    return `${lines.join('\n')}\n`;
  }
}

/** The smallest world in which a seed fails: what happened in it, and the line that runs it again. */
export function shrunkText({ result, without, sizes, runs }: Shrunk, lines: number, broken?: string): string {
  const { seed, failure, faults, totals, events } = result;
  const size = Object.entries(sizes).map(([name, value]) => `${name}=${value}`);
  const options = [
    ...(without.length > 0 ? [`--without ${without.join()}`] : []),
    ...(size.length > 0 ? [`--sizes ${size.join()}`] : []),
    ...(broken === undefined ? [] : [`--break ${broken}`]),
  ];
  const happened = faults.flatMap(([kind, count]) => (count > 0 ? [`${kind} ${count}`] : []));
  return [
    '',
    `seed ${seed}, as small as ${runs} runs could make it: ${totals.lives} lives, ${totals.asked} claims asked for, ${events} events`,
    `what went wrong in it: ${happened.join(', ') || 'nothing'}`,
    'what happened last (virtual ms, who, what):',
    ...folded(failure?.trace ?? []).slice(-lines),
    `seed ${seed}: ${failure?.what}`,
    `  make simulate SEED=${seed} ARGS="${[...options, '--no-shrink'].join(' ')}"`,
    '',
  ].join('\n');
}

/** Lines that follow each other and differ in nothing but their time are one. */
function folded(trace: readonly string[]): string[] {
  const lines: { text: string; what: string; count: number }[] = [];
  for (const text of trace) {
    const what = text.slice(12);
    const last = lines.at(-1);
    if (last?.what === what) last.count++;
    else lines.push({ text, what, count: 1 });
  }
  return lines.map(({ text, count }) => (count === 1 ? text : `${text} (${count} times)`));
}
