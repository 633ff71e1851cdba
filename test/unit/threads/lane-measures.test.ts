/** What the main thread reads: each lane's own, times in seconds, and the depth of its ring. */
import { expect, test } from 'vitest';
import { STAGES } from '../../../src/control/measure-control.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { ClaimRing } from '../../../src/ring/claim-ring.ts';
import { Histograms, MEASURE } from '../../../src/ring/histogram.ts';
import { readMeasures } from '../../../src/threads/lane-measures.ts';

test('each lane has its measures, under the names of the contract', () => {
  const shape = { kernelBytes: 0, rings: 2, ringSlots: 8, ackSlots: 16, threads: 2, channelsMax: 8 };
  const arena = Arena.create(shape);
  const rings = [0, 1].map((ring) => new ClaimRing(arena, ring));
  const second = new Histograms(arena, 1);
  for (const measure of Object.values(MEASURE)) second.add(measure, 100 + measure, 1);
  rings[1]!.push();
  rings[1]!.publish();

  const [first, other] = readMeasures(arena, rings);
  expect(first).toMatchObject({ ringDepth: 0, ringSlots: 8, ack: { count: 0, sum: 0 }, group: { count: 0 } });
  expect(other).toMatchObject({ ringDepth: 1, ringSlots: 8 });
  const seconds = (measure: number) => Float64Array.of((100 + measure) / 1e6);
  expect(STAGES.map((stage) => other!.stages[stage].bounds)).toEqual(STAGES.map((stage) => seconds(MEASURE[stage])));
  expect(other!.ack.bounds).toEqual(seconds(MEASURE.whole));
  expect(other!.sync.bounds).toEqual(seconds(MEASURE.journalSync));
  expect([...other!.group.bounds]).toEqual([100 + MEASURE.group]);
});
