/** A report for the terminal. Pure. */
import { figure, share, times } from './page/numbers.ts';
import { gainText, RUNS_MIN } from './page/tables.ts';
import type { BenchReport } from './schema.ts';

export function reportText({
  machine,
  figures,
  optimisations,
  curves,
  extrapolation,
  bottleneck,
  skipped,
  seconds,
}: BenchReport): string {
  const lines = [
    `claimwire bench: ${machine.processor}, ${machine.cores} cores, Node ${machine.node}, kernel ${machine.kernel}, ${seconds.toFixed(0)} s`,
    '',
  ];
  for (const { name, median, interval, unit, runs } of figures)
    lines.push(
      `${name.padEnd(34)} ${figure(median).padStart(12)} ${unit} (${runs < RUNS_MIN ? 'no interval' : `${figure(interval.low)} to ${figure(interval.high)}`}, ${runs} runs)`,
    );
  lines.push('', 'Gains, with a 95 % interval:');
  for (const { name, measured, why } of optimisations)
    lines.push(
      measured === undefined
        ? `  ${name}: ${why}`
        : `  ${name}: ${times(measured.gain.median)} (${gainText(measured.gain)})`,
    );
  lines.push('', 'Models:');
  for (const { name, model } of curves)
    if (model !== undefined) {
      const parameters = Object.entries(model.parameters).map(
        ([key, value]) => `${key} = ${Number(value.toPrecision(4))}`,
      );
      const error =
        model.heldOutError === undefined
          ? 'none held out'
          : `${share(model.heldOutError.mean)} off on ${model.heldOutError.points} points held out`;
      lines.push(`  ${name}: ${model.formula}: ${parameters.join(', ')}; ${error}`);
    }
  if (extrapolation !== null) {
    lines.push('', `EXTRAPOLATION beyond ${machine.cores} cores, not measured:`);
    for (const { cores, claimsPerSecond, isExtrapolation } of extrapolation.byCores)
      if (isExtrapolation)
        lines.push(`  ${String(cores).padStart(3)} cores: ${figure(Number(claimsPerSecond.toPrecision(2)))} claims/s`);
  }
  for (const line of skipped) lines.push(`left out: ${line}`);
  if (bottleneck !== null)
    lines.push(
      '',
      `Bottleneck at full load: ${bottleneck.kind}. ${bottleneck.says} ${bottleneck.change}`,
      ...bottleneck.evidence.map((line) => `  ${line}`),
    );
  return `${lines.join('\n')}\n`;
}
