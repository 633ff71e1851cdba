/** One look a second while somebody wants to know: rates, percentiles of what is new, exposure, and what is kept. */
import { beforeEach, expect, test } from 'vitest';
import { STAGES } from '../../../src/control/measure-control.ts';
import type { NodeStats } from '../../../src/control/node-control.ts';
import { HISTORY_MAX, type NumberedSample, Sampler } from '../../../src/metrics/sampler.ts';
import { FakeMeasures } from '../../support/fake-measures.ts';
import { ManualClock } from '../../support/manual-clock.ts';

let clock: ManualClock;
let measures: FakeMeasures;
let counters: NodeStats['counters'];
let looks: number;
let sampler: Sampler;
let seen: NumberedSample[];

beforeEach(() => {
  clock = new ManualClock();
  measures = new FakeMeasures();
  counters = {};
  looks = 0;
  seen = [];
  const stats = () => {
    looks++;
    const ring = { depth: 3, slots: 64 };
    const keyTables = null;
    return { uptimeSeconds: 9, channels: 2, channelsMax: 64, ring, keyTables, counters } as unknown as NodeStats;
  };
  sampler = new Sampler({
    control: { ready: true, stats },
    measures,
    clock,
    memory: () => ({ resident: 5, limit: 10 }),
  });
});

/** A second later. */
function second(): NumberedSample['sample'] {
  clock.advance(1_000);
  return seen.at(-1)!.sample;
}
const listen = () => sampler.listen((sample) => seen.push(sample));

test('nothing is looked at while nobody listens, and one look is for all who do', () => {
  clock.advance(5_000);
  expect(looks).toBe(0);
  const ends = [listen(), listen()];
  clock.advance(1_000);
  expect([looks, seen.length]).toEqual([2, 2]);
  expect(seen[0]).toBe(seen[1]);
  for (const end of ends) end();
  clock.advance(5_000);
  expect([looks, clock.pending]).toEqual([2, 0]);
  // What went on meanwhile is in no sample: it would look like a burst of this second.
  counters = { received: 1_000 };
  listen();
  expect(second().rates.received).toBe(0);
});

test('rates are over the time that has really passed, and name their reasons', () => {
  listen();
  counters = {
    received: 500,
    committed: 400,
    charges: 20,
    refused: { badAmount: 10, overloaded: 0 },
    dropped: { a: 4 },
  };
  clock.advance(900);
  expect(seen).toEqual([]);
  const sample = second();
  expect(sample).toMatchObject({ at: clock.wall() - 900, seconds: 1 });
  expect(sample.rates).toMatchObject({ received: 500, committed: 400, charges: 20, refused: 10, dropped: 4 });
  expect(sample.refused).toEqual({ badAmount: 10 });
  counters = { ...counters, busyUs: { verify: 250_000 }, linkGaps: 3 };
  expect(second()).toMatchObject({ rates: { received: 0, refused: 0, linkGaps: 3 }, busy: { verify: 0.25, send: 0 } });
  expect(seen.at(-1)!.sample.refused).toEqual({});
});

test('percentiles are of what is new, over all lanes, in milliseconds', () => {
  const [left, right] = measures.lanes;
  left!.ack.add(0.001, 1_000);
  listen();
  left!.ack.add(0.002, 90);
  left!.ack.add(0.001, 5);
  right!.ack.add(0.5, 5);
  right!.group.add(10);
  right!.group.add(30);
  right!.ringDepth = 7;
  const sample = second();
  expect(sample.ack).toEqual({ count: 100, p50: 2, p90: 2, p99: 500, p999: 500, max: 500 });
  expect(sample.lanes.map(({ ack, ring }) => [ack.count, ack.p50, ring.depth])).toEqual([
    [95, 2, 0],
    [5, 500, 7],
  ]);
  expect(sample.ring).toEqual({ depth: 7, slots: 8_192 });
  expect(sample.groupClaims).toBe(20);
  expect(Object.keys(sample.stages)).toEqual([...STAGES]);
  expect(sample.stages.sync).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
  expect(second()).toMatchObject({ groupClaims: 0, ack: { count: 0, p99: 0 } });
});

test('connections are told apart', () => {
  counters = {
    tcp: { accepted: 9, closed: 4 },
    web: { accepted: 12, closed: 5, websocketAccepted: 8, websocketClosed: 2, webrtcAccepted: 4 },
  };
  listen();
  expect(second().connections).toEqual({ tcp: 5, websocket: 6, webrtc: 1 });
});

test('what holds the node back is named from the same two looks; where the machine is not looked at, nothing is', () => {
  listen();
  expect(second().bottleneck).toBeNull();
  const verified = { hitsHuge: 0, hitsLarge: 0, hitsSmall: 100, hitsTiny: 0, misses: 0, evictions: 0 };
  let [keyTables, busyUs, ran] = [verified, { verify: 0 }, 0];
  sampler = new Sampler({
    control: {
      ready: true,
      stats: () =>
        ({
          layout: 'lanes',
          verifiers: 1,
          ring: {},
          counters: { busyUs, received: ran },
          keyTables,
        }) as unknown as NodeStats,
    },
    clock,
    memory: () => ({ resident: 5, limit: 10 }),
    processors: () => ({ atSeconds: clock.monotonic() / 1_000, ran, waited: 0, machineBusy: 1e6 + ran }),
  });
  listen();
  expect(second().bottleneck).toMatchObject({ cause: 'payers' });
  [keyTables, busyUs, ran] = [{ ...verified, misses: 50, evictions: 50 }, { verify: 950_000 }, 1];
  expect(second().bottleneck).toMatchObject({
    cause: 'key-tables',
    text: expect.stringMatching(/^The tables of the keys do not fit/),
    change: expect.stringMatching(/--key-cache/),
  });
  [busyUs, ran] = [{ verify: 1_900_000 }, 2];
  // On a machine with more cores a lane more is the advice.
  expect(second().bottleneck!.cause).toMatch(/^(verify|few-lanes)$/);
});

test('exposure and the ledger are as they stand', () => {
  const ledger = { health: () => ({ url: 'wss://one' }) as never };
  const stats = () => ({ counters, keyTables: null, ring: {} }) as unknown as NodeStats;
  const memory = () => ({ resident: 5, limit: 10 });
  const exposure = { exposure: () => ({ drops: 2n ** 64n }) };
  sampler = new Sampler({ control: { ready: true, stats }, exposure, ledger, clock, memory });
  listen();
  expect(second()).toMatchObject({ exposureDrops: String(2n ** 64n), ledger: { url: 'wss://one' }, lanes: [] });
});

test('the last ten minutes are kept, and no more', () => {
  listen();
  for (let turn = 0; turn < HISTORY_MAX + 5; turn++) second();
  expect(sampler.history).toHaveLength(HISTORY_MAX);
  expect(sampler.history[0]!.number).toBe(5);
  expect(sampler.next).toBe(HISTORY_MAX + 5);
  expect(JSON.parse(sampler.history.at(-1)!.text)).toEqual(sampler.history.at(-1)!.sample);
});
