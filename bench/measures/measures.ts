/**
 * bench:measures: what measuring the times of claims costs, and whether it measures what is so.
 *
 * Main thread; two nodes, one of which measures, and the load are processes of their own. The nodes take turns under the
 * same load, so that a machine that grows slower favours neither, and the cost is the median of the pairs' ratios. Then
 * the histograms of the one that measures are compared with the percentiles that the load generator found for the very
 * same claims. The generator counts from the time at which a claim was due, so what it was late by itself is in its figures
 * alone: they are given from when a claim left as well.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '../../src/errors.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { type NodeWork, provenLoad } from '../path/load.ts';
import { countsOf, percentileMs, since, total } from './distribution.ts';
import type { PlainMeasures } from './service.ts';

const SERVICE = fileURLToPath(new URL('./service.js', import.meta.url));
const FULL = { pairs: 6, seconds: 3, paced: 5 };
const QUICK = { pairs: 2, seconds: 0.7, paced: 1.5 };
const LAYOUTS = ['lanes', 'pipeline'] as const;

const folder = benchFolder('measures');

/** A node, and what was committed on it so far. */
class Subject {
  readonly node: NodeUnderTest;
  #drops = 0;

  constructor(node: NodeUnderTest) {
    this.node = node;
  }

  async load(rate: string, seconds: number) {
    const flags = ['--rate', rate, '--duration', String(seconds), '--warmup', '0'];
    const load = await provenLoad(this.node, flags, this.#drops);
    this.#drops = load.committedDrops;
    return load;
  }
  measures(): Promise<PlainMeasures> {
    return this.node.ask<PlainMeasures>({});
  }
}

/** Processor time of the node's threads for a claim, nanoseconds. */
function busyNs({ stageUs, committed }: NodeWork): number {
  const us = Object.entries(stageUs).reduce((sum, [stage, of]) => sum + (stage === 'sync' ? 0 : of), 0);
  return (us * 1_000) / committed;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[(values.length - 1) >> 1]!;
}

/** Loads both in turns, as fast as they can. */
async function compareCost(measuring: Subject, plain: Subject, { pairs, seconds }: typeof FULL): Promise<Figures> {
  const rates: number[] = [];
  const costs: number[] = [];
  const own: { rate: number; ns: number }[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const order = pair % 2 === 0 ? [measuring, plain] : [plain, measuring];
    const found = new Map<Subject, { rate: number; ns: number }>();
    for (const subject of order) {
      const { perSecond, work } = await subject.load('max', seconds);
      found.set(subject, { rate: perSecond, ns: busyNs(work) });
    }
    const [on, off] = [found.get(measuring)!, found.get(plain)!];
    own.push(on);
    rates.push(on.rate / off.rate);
    costs.push(on.ns / off.ns);
  }
  return {
    claimsPerSecond: median(own.map(({ rate }) => rate)),
    busyNs: median(own.map(({ ns }) => ns)),
    rateOnOff: median(rates),
    busyOnOff: median(costs),
  };
}

/** Paces the load, and compares what node and generator say of the same claims. */
async function compareTimes(subject: Subject, rate: number, seconds: number, context: BenchContext): Promise<Figures> {
  const before = await subject.measures();
  const { step, work } = await subject.load(String(rate), seconds);
  const after = await subject.measures();
  const between = (of: (lane: PlainMeasures[0]) => PlainMeasures[0]['ack']) =>
    since(countsOf(before.map(of)), countsOf(after.map(of)));
  const whole = between(({ ack }) => ack);
  assert(total(whole) === work.committed, `each committed claim is counted: ${total(whole)} of ${work.committed}`);
  const { latency, uncorrected, wire } = step;
  assert(wire !== null && wire.count === step.acked, 'the generator has the times of the system for every claim');
  const stages = Object.keys(after[0]!.stages) as (keyof PlainMeasures[0]['stages'])[];
  const told = stages.map((stage) => {
    const times = between((lane) => lane.stages[stage]);
    return `${stage} ${percentileMs(times, 50).toFixed(3)}/${percentileMs(times, 99).toFixed(3)}`;
  });
  context.note(`${rate}/s, p50/p99 in ms: ${told.join(', ')}; ${total(whole)} claims counted`);
  const [p50, p99] = [percentileMs(whole, 50), percentileMs(whole, 99)];
  return {
    p50Ms: p50,
    p99Ms: p99,
    generatorP50Ms: latency.p50Ms,
    generatorP99Ms: latency.p99Ms,
    p50OfGenerator: p50 / latency.p50Ms,
    p99OfGenerator: p99 / latency.p99Ms,
    p50OfGeneratorSinceSent: p50 / uncorrected.p50Ms,
    p99OfGeneratorSinceSent: p99 / uncorrected.p99Ms,
    wireP50Ms: wire.p50Ms,
    wireP99Ms: wire.p99Ms,
    p50OfWire: p50 / wire.p50Ms,
    p99OfWire: p99 / wire.p99Ms,
  };
}

/** Both nodes of a layout, started and warm. */
function withNodes(
  layout: string,
  repeat: number,
  work: (measuring: Subject, plain: Subject) => Promise<Figures>,
): Promise<Figures> {
  const data = (name: string) => join(folder, `${layout}-${name}-${repeat}`);
  const flags = ['--layout', layout];
  return NodeUnderTest.run(
    data('on'),
    flags,
    (on) =>
      NodeUnderTest.run(
        data('off'),
        [...flags, '--not-measuring'],
        async (off) => {
          const subjects = [new Subject(on), new Subject(off)] as const;
          for (const subject of subjects) await subject.load('max', 1);
          return work(...subjects);
        },
        SERVICE,
      ),
    SERVICE,
  );
}

await runBench({ name: 'measures', backend: 'native', repeats: 3 }, async (context) => {
  const sizes = context.quick ? QUICK : FULL;
  const figures: Figures = {};
  for (const layout of LAYOUTS) {
    const found = await withNodes(layout, context.repeat, async (measuring, plain) => {
      const cost = await compareCost(measuring, plain, sizes);
      const half = Math.round(cost.claimsPerSecond! / 2);
      return { ...cost, ...(await compareTimes(measuring, half, sizes.paced, context)) };
    });
    for (const [name, value] of Object.entries(found)) figures[`measures.${layout}.${name}`] = value;
  }
  return figures;
});
