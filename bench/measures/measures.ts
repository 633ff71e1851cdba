/**
 * bench:measures: what measuring the times of claims costs, and whether it measures what is so.
 *
 * The cost is told twice. lane-cost.ts feeds the steps of a lane in this thread with bursts that are measured or not, which
 * gives nanoseconds a claim; their share is of what a claim costs a whole node. And whole nodes, in processes of their own as
 * the load is, measure and do not in turns of a slice of a second under one load: that gives rate and processor time as
 * they are, of which other programs on the machine disturb more. Both are medians of pairs, with intervals by bootstrap.
 *
 * Then the histograms are compared with what the load generator found for the very same claims. The generator counts from
 * the time at which a claim was due, which includes what it was late by itself, its packing and its reading; so what is
 * compared is its latency from wire to wire.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '../../src/errors.ts';
import { bootstrapInterval, median } from '../framework/statistics.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { provenLoad, runLoad } from '../path/load.ts';
import { countsOf, percentileMs, since, total } from './distribution.ts';
import { laneCosts } from './lane-cost.ts';
import type { PlainMeasures, Question, Slice } from './service.ts';

const SERVICE = fileURLToPath(new URL('./service.js', import.meta.url));
/** Nodes a layout, and what is measured of each: slices in milliseconds, the paced load in seconds, pairs of bursts. */
const FULL = { nodes: 3, pairs: 40, ms: 200, paced: 5, bursts: 4_000 };
const QUICK = { nodes: 1, pairs: 12, ms: 100, paced: 1.5, bursts: 600 };
/** Longer than any run of slices: it is ended when they are over. */
const LOAD_SECONDS = '600';
const LAYOUTS = ['lanes', 'pipeline'] as const;
/** Flags of the load, by the name of what they make: as it comes, and a datagram for each claim, which is the dearest. */
const LOADS = { packed: [], single: ['--per-datagram', '1'] } as const;
const PACKINGS = { packed: { perDatagram: 15, isTrain: true }, single: { perDatagram: 1, isTrain: false } } as const;
const RATE_MIN = 1_000;
/** A slice in which the node did not measure all its claims, or some, is left out: it was slow to change over. */
const MIXED_SHARE_MAX = 0.02;

const folder = benchFolder('measures');

/** A node, and what was committed on it so far. */
class Subject {
  readonly node: NodeUnderTest;
  #drops = 0;

  constructor(node: NodeUnderTest) {
    this.node = node;
  }

  async load(rate: string, seconds: number, more: readonly string[] = []) {
    const flags = ['--rate', rate, '--duration', String(seconds), '--warmup', '0', ...more];
    const load = await provenLoad(this.node, flags, this.#drops);
    this.#drops = load.committedDrops;
    return load;
  }
  /** Loads it as long as `work` goes on, which gets the process. */
  async loadUntil(flags: readonly string[], work: (load: number) => Promise<void>): Promise<void> {
    const args = ['--warmup', '0', '--duration', LOAD_SECONDS, ...flags];
    const onStart = (pid: number) => void work(pid).finally(() => process.kill(pid, 'SIGINT'));
    const { result } = await runLoad(this.node, args, { onStart });
    assert(result.reconciliation?.short === 0, `nothing is missing: ${result.verdict.join(' ')}`);
    this.#drops = Number(result.reconciliation.committedDrops);
  }
  ask<Answer>(question: Question): Promise<Answer> {
    return this.node.ask<Answer>(question);
  }
}

/** With measuring and without, one after the other. */
interface Pair {
  on: Slice;
  off: Slice;
}

function pairsOf(slices: readonly Slice[]): Pair[] {
  const pairs: Pair[] = [];
  for (let at = 0; at + 1 < slices.length; at += 2) {
    const [on, off] = slices.slice(at, at + 2).sort((left, right) => Number(right.isOn) - Number(left.isOn)) as [
      Slice,
      Slice,
    ];
    const isPure =
      Math.abs(on.claims - on.measured) <= on.claims * MIXED_SHARE_MAX && off.measured <= off.claims * MIXED_SHARE_MAX;
    if (on.claims > 0 && off.claims > 0 && isPure) pairs.push({ on, off });
  }
  return pairs;
}

/** Loads a node as fast as it can, until it has its slices. */
async function costPairs(subject: Subject, { pairs, ms }: typeof FULL, flags: readonly string[]): Promise<Pair[]> {
  let slices: Promise<Slice[]> = Promise.resolve([]);
  await subject.loadUntil(['--rate', 'max', ...flags], async (load) => {
    slices = subject.ask<Slice[]>({ slices: { pairs, ms, load } });
    await slices;
  });
  return pairsOf(await slices);
}

const nsOf = ({ cpuNs, claims }: Slice) => cpuNs / claims;
const rateOf = ({ claims, seconds }: Slice) => claims / seconds;

/** What measuring costs, as its share of what a claim costs without it. */
function costFigures(name: string, pairs: readonly Pair[], wanted: number, { note }: BenchContext): Figures {
  assert(pairs.length * 2 > wanted, `${name}: the node changes over under load, ${pairs.length} of ${wanted} pairs`);
  const [costs, rates] = [
    pairs.map(({ on, off }) => nsOf(on) / nsOf(off) - 1),
    pairs.map(({ on, off }) => rateOf(on) / rateOf(off)),
  ];
  const [cost, rate] = [bootstrapInterval(costs, 1, name), bootstrapInterval(rates, 1, name)];
  const percent = (value: number) => (value * 100).toFixed(2);
  note(
    `${name}: processor time a claim ${percent(median(costs))} % (95 %: ${percent(cost.low)} to ${percent(cost.high)}), rate on/off ${median(rates).toFixed(3)} (${rate.low.toFixed(3)} to ${rate.high.toFixed(3)}); ${pairs.length} pairs`,
  );
  return {
    claimsPerSecond: median(pairs.map(({ on }) => rateOf(on))),
    cpuNs: median(pairs.map(({ off }) => nsOf(off))),
    costNs: median(pairs.map(({ on, off }) => nsOf(on) - nsOf(off))),
    costPercent: median(costs) * 100,
    costPercentLow: cost.low * 100,
    costPercentHigh: cost.high * 100,
    rateOnOff: median(rates),
    rateOnOffLow: rate.low,
    rateOnOffHigh: rate.high,
  };
}

/** Nanoseconds a claim in one lane, with their interval. */
async function laneFigures(bursts: number, { note }: BenchContext): Promise<Figures> {
  const figures: Figures = {};
  for (const [name, packing] of Object.entries(PACKINGS)) {
    const costs = (await laneCosts(folder, bursts, packing)).map(({ on, off }) => on - off);
    const { low, high } = bootstrapInterval(costs, 1, name);
    note(
      `${name}: measuring takes ${median(costs).toFixed(1)} ns a claim (95 %: ${low.toFixed(1)} to ${high.toFixed(1)}), ${bursts} pairs of bursts`,
    );
    Object.assign(figures, { [`${name}Ns`]: median(costs), [`${name}NsLow`]: low, [`${name}NsHigh`]: high });
  }
  return figures;
}

/**
 * Paces the load, and compares what node and generator say of the same claims. A claim that was lost, and that a newer one's
 * ack covered, has times for the generator alone: then the comparison is made again, more slowly.
 */
async function compareTimes(subject: Subject, rate: number, seconds: number, context: BenchContext): Promise<Figures> {
  const before = await subject.ask<PlainMeasures>({});
  const { step, work } = await subject.load(String(rate), seconds);
  const after = await subject.ask<PlainMeasures>({});
  const between = (of: (lane: PlainMeasures[0]) => PlainMeasures[0]['ack']) =>
    since(countsOf(before.map(of)), countsOf(after.map(of)));
  const whole = between(({ ack }) => ack);
  assert(total(whole) === work.committed, `each committed claim is counted: ${total(whole)} of ${work.committed}`);
  const { latency, wire } = step;
  assert(wire !== null && wire.count === step.acked, 'the generator has the times of the system for every claim');
  if (wire.count !== total(whole) && rate > RATE_MIN)
    return compareTimes(subject, Math.round(rate / 2), seconds, context);
  assert(wire.count === total(whole), `no claim is lost at ${rate}/s: ${total(whole)} of ${wire.count} arrived`);
  const stages = Object.keys(after[0]!.stages) as (keyof PlainMeasures[0]['stages'])[];
  const told = stages.map((stage) => {
    const times = between((lane) => lane.stages[stage]);
    return `${stage} ${percentileMs(times, 50).toFixed(3)}/${percentileMs(times, 99).toFixed(3)}`;
  });
  context.note(`${rate}/s, p50/p99 in ms: ${told.join(', ')}; ${total(whole)} claims counted`);
  const [p50, p99] = [percentileMs(whole, 50), percentileMs(whole, 99)];
  return {
    comparedAtRate: rate,
    p50Ms: p50,
    p99Ms: p99,
    wireP50Ms: wire.p50Ms,
    wireP99Ms: wire.p99Ms,
    p50OfWire: p50 / wire.p50Ms,
    p99OfWire: p99 / wire.p99Ms,
    sinceDueP50Ms: latency.p50Ms,
    sinceDueP99Ms: latency.p99Ms,
  };
}

/** A node of a layout, started and warm. */
function withNode<Result>(name: string, layout: string, work: (subject: Subject) => Promise<Result>): Promise<Result> {
  const warm = async (node: NodeUnderTest) => {
    const subject = new Subject(node);
    await subject.load('max', 1);
    return work(subject);
  };
  return NodeUnderTest.run(join(folder, name), ['--layout', layout], warm, SERVICE);
}

await runBench({ name: 'measures', backend: 'native', repeats: 1 }, async (context) => {
  const sizes = context.quick ? QUICK : FULL;
  const figures: Figures = {};
  const keep = (prefix: string, found: Figures) => {
    for (const [name, value] of Object.entries(found)) figures[`measures.${prefix}.${name}`] = value;
  };
  const cost = await laneFigures(sizes.bursts, context);
  keep('cost', cost);
  for (const layout of LAYOUTS) {
    const pairs = { packed: [] as Pair[], single: [] as Pair[] };
    for (let number = 0; number < sizes.nodes; number++)
      await withNode(`${layout}-${number}`, layout, async (subject) => {
        for (const [name, flags] of Object.entries(LOADS) as [keyof typeof LOADS, readonly string[]][])
          pairs[name].push(...(await costPairs(subject, sizes, flags)));
        if (number > 0) return;
        const third = Math.round(median(pairs.packed.map(({ on }) => rateOf(on))) / 3);
        keep(layout, await compareTimes(subject, third, sizes.paced, context));
      });
    for (const [name, found] of Object.entries(pairs)) {
      const whole = costFigures(`${layout}, ${name}`, found, sizes.pairs * sizes.nodes, context);
      const share = (ns: number) => (ns * 100) / whole.cpuNs!;
      keep(`${layout}.${name}`, {
        ...whole,
        lanePercent: share(cost[`${name}Ns`]!),
        lanePercentHigh: share(cost[`${name}NsHigh`]!),
      });
    }
  }
  return figures;
});
