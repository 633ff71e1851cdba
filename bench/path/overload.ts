/**
 * Loads the node with twice its maximum rate and right afterwards with half of it: memory, what still gets through, and how
 * soon it works normally again.
 *
 * Main thread of the bench. The load is a run of `claimwire load` with two rates in succession, which its
 * command line cannot express; its generator is a thread of this process, and this thread only samples.
 */
import { join } from 'node:path';
import { assert } from '../../src/errors.ts';
import { boundsFor } from '../../src/load/bounds.ts';
import type { LoadResult, LoadStep } from '../../src/load/result.ts';
import { runLoad } from '../../src/load/run.ts';
import { LOAD_DEFAULTS, type LoadSettings } from '../../src/load/settings.ts';
import type { BenchContext, Figures } from '../harness.ts';
import { NodeUnderTest } from '../node-under-test.ts';

const SECONDS = 20;
const SECONDS_QUICK = 3;
/** From this second on memory must not grow. */
const SETTLED_SECONDS = 5;
const SETTLED_SECONDS_QUICK = 1;
/** The second step ends after this many seconds. */
const AFTERWARDS_SECONDS = 3;
const AFTERWARDS_SECONDS_QUICK = 1;
/** The pause between the last claim of the overload and the first one after it. */
const DRAIN_MS = 100;
/** The latency that half of the maximum rate must meet. */
const BAR_MS = 8;

interface Sample {
  atSeconds: number;
  residentMiB: number;
  committed: number;
}

/** @param maximum the node's highest rate in claims per second */
export async function measureOverload(folder: string, maximum: number, context: BenchContext): Promise<Figures> {
  const seconds = context.quick ? SECONDS_QUICK : SECONDS;
  return await NodeUnderTest.run(join(folder, 'overload'), [], async (node) => {
    const run = await overload(node, maximum, seconds, context.quick ? AFTERWARDS_SECONDS_QUICK : AFTERWARDS_SECONDS);
    return figuresOf(run, maximum, context);
  });
}

interface OverloadRun {
  result: LoadResult;
  samples: Sample[];
}

async function overload(
  node: NodeUnderTest,
  maximum: number,
  seconds: number,
  afterwardsMax: number,
): Promise<OverloadRun> {
  const samples: Sample[] = [];
  const sampling: Promise<void>[] = [];
  const begin = performance.now();
  const sample = async () => {
    const residentMiB = node.residentMiB();
    // A sample that fails is left out; the run itself reports why.
    const { counters } = await node.stats();
    const atSeconds = (performance.now() - begin) / 1_000;
    samples.push({ atSeconds, residentMiB, committed: counters.committed as number });
  };
  let isOverloaded = true;
  let afterwards = 0;
  let stop = () => {};
  const { result } = await runLoad(
    {
      settings: settingsFor(node, [2 * maximum, maximum / 2], seconds),
      to: `udp://${node.udp.host}:${node.udp.port}`,
      bounds: boundsFor({}, false),
      isRamp: false,
      replayFile: undefined,
      keepChannels: false,
      admins: [node.admin],
      seeds: undefined,
    },
    {
      progress: () => {},
      interval: () => {
        if (isOverloaded) sampling.push(sample().catch(() => {}));
        else if (++afterwards === afterwardsMax) stop();
      },
      step: () => {
        isOverloaded = false;
      },
      onStop: (callback) => {
        stop = callback;
      },
    },
  );
  await Promise.all(sampling);
  return { result, samples };
}

function settingsFor(node: NodeUnderTest, rates: number[], seconds: number): LoadSettings {
  const target = { protocol: 'udp', ...node.udp } as const;
  return { ...LOAD_DEFAULTS, target, seed: 1, rates, durationMs: seconds * 1_000, warmupMs: 0, drainMs: DRAIN_MS };
}

function figuresOf({ result, samples }: OverloadRun, maximum: number, { quick, note }: BenchContext): Figures {
  const [during, after] = result.steps;
  assert(during !== undefined && after !== undefined, `both rates were run: ${result.verdict.join(' ')}`);
  assert(result.reconciliation?.short === 0, `nothing acknowledged is lost: ${result.verdict.join(' ')}`);
  const settled = samples.filter(({ atSeconds }) => atSeconds >= (quick ? SETTLED_SECONDS_QUICK : SETTLED_SECONDS));
  const [first, last] = [settled[0], settled.at(-1)];
  assert(first !== undefined && last !== undefined && first !== last, 'the overload lasts for two samples');
  const committed = (last.committed - first.committed) / (last.atSeconds - first.atSeconds);
  const { ackedRate, achievedRate, unanswered, refused } = during;
  const megabytes = samples.map(({ residentMiB }) => residentMiB.toFixed(0)).join(', ');
  note(
    `overload: sent ${Math.round(achievedRate)}/s of ${Math.round(2 * maximum)}/s asked for, acknowledged ${Math.round(ackedRate)}/s (covered ones too), committed ${Math.round(committed)}/s, unanswered ${unanswered}, refused ${JSON.stringify(refused)}; VmRSS by the second ${megabytes} MiB; ${result.reconciliation.acknowledgedDrops} drops acknowledged, ${result.reconciliation.committedDrops} committed`,
  );
  return {
    'path.overloadSentRatio': achievedRate / maximum,
    'path.overloadAckedRatio': Math.min(ackedRate, committed) / maximum,
    'path.overloadP99Ms': during.uncorrected.p99Ms,
    'path.overloadCorrectedP99Ms': during.latency.p99Ms,
    'path.overloadMemoryGrowthMiB': last.residentMiB - first.residentMiB,
    'path.recoverySeconds': recoverySeconds(after, note),
  };
}

/** From the end of the overload to the start of the first second in which all is answered and p99 is within the limit. */
function recoverySeconds({ requestedRate, intervals }: LoadStep, note: (line: string) => void): number {
  const inFlightMax = (requestedRate! * 2 * BAR_MS) / 1_000;
  const unanswered: number[] = [];
  // The last interval may be of a few milliseconds, since the load is stopped.
  intervals.forEach(({ atSeconds, sentPerSecond, ackedPerSecond }, index) => {
    const seconds = atSeconds - (intervals[index - 1]?.atSeconds ?? 0);
    unanswered.push((unanswered[index - 1] ?? 0) + Math.round((sentPerSecond - ackedPerSecond) * seconds));
  });
  const index = intervals.findIndex(({ p99Ms }, second) => p99Ms <= BAR_MS && unanswered[second]! <= inFlightMax);
  const lines = intervals.map(({ p99Ms }, second) => `p99 ${p99Ms.toFixed(2)} ms, ${unanswered[second]} unanswered`);
  note(`after the overload, by the second: ${lines.join('; ')}${index < 0 ? '; NEVER WELL' : ''}`);
  const before = index < 0 ? intervals.at(-1) : intervals[index - 1];
  return DRAIN_MS / 1_000 + (before?.atSeconds ?? 0);
}
