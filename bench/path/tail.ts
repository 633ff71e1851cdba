/**
 * bench:tail: what each option, and each setting of the system, does to the tail: the same loads in turns with and without it, so
 * that all of them meet the same machine. For a quiet machine; the hiccup meters say whether it was one.
 *
 * Main thread; node, load and floor are processes of their own. One claim at a time against the floor (latency.ts), and half of
 * the maximum rate with warm keys. Every figure is the median of the
 * repeats. `--options-only` leaves out what was seen to change nothing.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { measureLatency } from './latency.ts';
import { hiccupsText, provenLoad, warmHalfLoad } from './load.ts';

/** Flags of the node. The first is what others are compared with. */
const VARIANTS: { name: string; flags: string[] }[] = [
  { name: 'default', flags: [] },
  { name: 'pin', flags: ['--pin'] },
  { name: 'busyPoll', flags: ['--busy-poll', '200'] },
  { name: 'pinBusyPoll', flags: ['--pin', '--busy-poll', '200'] },
  { name: 'oneLane', flags: ['--lanes', '1'] },
  { name: 'pipeline', flags: ['--layout', 'pipeline'] },
  { name: 'os', flags: ['--durability', 'os'] },
];
const HALF = { half: 6, halfWarmup: 1 };
const HALF_QUICK = { half: 1, halfWarmup: 2 };
const MAX_SECONDS = 3;

const folder = benchFolder('tail');
let rate: number | undefined;

async function measure({ quick, note, flags }: BenchContext): Promise<Figures> {
  const fresh = (name: string) => join(folder, name);
  rate ??= await NodeUnderTest.run(fresh('max'), [], async (node) => {
    const { perSecond } = await provenLoad(node, ['--rate', 'max', '--duration', `${quick ? 1 : MAX_SECONDS}`]);
    return Math.round(perSecond / 2);
  });
  const figures: Figures = { 'tail.halfRate': rate };
  const variants = flags.has('options-only') ? VARIANTS.slice(0, 4) : VARIANTS;
  for (const { name, flags: given } of variants) {
    const single = await measureLatency(folder, quick, given);
    const { step } = await NodeUnderTest.run(fresh('half'), given, (node) =>
      warmHalfLoad(node, rate!, quick ? HALF_QUICK : HALF),
    );
    for (const used of ['latency', 'half']) rmSync(fresh(used), { recursive: true, force: true });
    note(`${name}: half load ${rate}/s, ${step.late.claims} of ${step.sent} late; ${hiccupsText(step)}`);
    figures[`tail.${name}.latencyP50Us`] = single['path.latencyP50Us']!;
    figures[`tail.${name}.latencyP99Us`] = single['path.latencyP99Us']!;
    figures[`tail.${name}.latencyP99VsFloor`] = single['path.latencyP99VsFloor']!;
    figures[`tail.${name}.halfLoadP50Ms`] = step.latency.p50Ms;
    figures[`tail.${name}.halfLoadP99Ms`] = step.latency.p99Ms;
  }
  return figures;
}

await runBench({ name: 'tail', backend: 'native', flags: ['options-only'] }, measure);
