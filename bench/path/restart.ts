/**
 * A node that starts anew with 100,000 keys and no key table, at half of what it did before: how soon it keeps up, and whether it refuses
 * anything. `npm run bench:restart`. Main thread of the bench; nodes and load are processes of their own.
 */
import { join } from 'node:path';
import type { NodeStats } from '../../src/control/node-control.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { runLoad } from './load.ts';

const CHANNELS = 100_000;
const STEADY_SECONDS = 10;
/** For the key tables of the first node. */
const WARM_UP_SECONDS = 40;
const WARM_UP_SECONDS_QUICK = 10;
const AFTER_SECONDS = 8;
/** The second after the start that is looked at. */
const LOOK_AT_SECONDS = 5;

/** Groups of the node's counters: what it answered with a refusal, for whom it had no room, and what it dropped unanswered. */
const REFUSING = new Set(['refused', 'strangers', 'slowPaths', 'dropped']);

const folder = benchFolder('restart');
const bounds = [
  '--channels',
  `${CHANNELS}`,
  '--keys',
  `${CHANNELS}`,
  '--refused-max',
  '1',
  '--loss-max',
  '1',
  '--slo',
  '100000',
];

async function measure({ quick, note }: BenchContext): Promise<Figures> {
  const data = join(folder, 'node');
  const warmUp = quick ? WARM_UP_SECONDS_QUICK : WARM_UP_SECONDS;
  const steady = await NodeUnderTest.run(data, [], async (node) => {
    const flags = ['--warmup', `${warmUp}`, '--duration', `${STEADY_SECONDS}`];
    const { result } = await runLoad(node, [...flags, ...bounds]);
    return result.steps[0]!.ackedRate;
  });
  const rate = Math.floor(steady / 2);
  return NodeUnderTest.run(data, [], async (node) => {
    const flags = ['--rate', `${rate}`, '--warmup', '0', '--duration', `${AFTER_SECONDS}`];
    const { result } = await runLoad(node, [...flags, ...bounds]);
    const { intervals, refused, unanswered } = result.steps[0]!;
    const { keyTables, counters } = await node.stats();
    note(`key tables after it: ${JSON.stringify(keyTables)}`);
    note(`refused: ${JSON.stringify(refused)}; the node says why: ${JSON.stringify(refusalsOf(counters))}`);
    const acked = intervals.map(({ ackedPerSecond }) => ackedPerSecond);
    note(`half of ${Math.round(steady)}/s, acknowledged by the second: ${acked.map(Math.round).join(', ')}`);
    const keptUp = acked.findIndex((perSecond) => perSecond >= 0.9 * rate);
    return {
      'restart.steadyPerSecond': steady,
      'restart.ratioAtFiveSeconds': (acked[LOOK_AT_SECONDS - 1] ?? Number.NaN) / rate,
      'restart.keptUpAfterSeconds': keptUp < 0 ? Number.NaN : keptUp + 1,
      'restart.refused': Object.values(refused).reduce((sum, count) => sum + Number(count), 0),
      'restart.unanswered': unanswered,
    };
  });
}

/** Why the node refused or dropped anything, by its counters that are not 0. */
function refusalsOf(counters: NodeStats['counters']): Record<string, number> {
  const found = Object.entries(counters).flatMap(([group, reasons]) =>
    REFUSING.has(group) && typeof reasons === 'object'
      ? Object.entries(reasons).map(([reason, count]) => [`${group}.${reason}`, count] as const)
      : [],
  );
  return Object.fromEntries(found.filter(([, count]) => count > 0));
}

await runBench({ name: 'restart', backend: 'native', repeats: 1 }, measure);
