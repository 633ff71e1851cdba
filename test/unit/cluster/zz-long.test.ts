import { test } from 'vitest';
import { faultyRun } from '/work/wt/cluster/test/support/cluster-faults.ts';
test('long', { timeout: 1e9 }, async () => {
  const from = Number(process.env.FROM ?? 1), to = Number(process.env.TO ?? 20);
  let worst = 0; let bad = 0; let acked = 0n, tk = 0, mv = 0;
  for (let seed = from; seed <= to; seed++) {
    const run = await faultyRun(seed, 8_000);
    worst = Math.max(worst, run.healedMs); acked += run.acknowledged; tk += run.takeovers; mv += run.moved;
    if (process.env.SHOW) console.log(seed, run.healedMs, run.log.join('\n'));
    if (run.faults.length > 0) { bad++; console.log('seed', seed, run.faults.slice(0, 6).join('\n')); if (process.env.LOG) console.log(run.log.join('\n')); }
  }
  console.log({ from, to, bad, worst, acked, tk, mv });
});
