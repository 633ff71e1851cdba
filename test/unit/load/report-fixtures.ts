/**
 * Load results as a generator might hand over: a plain run with a stall, a ramp past its knee, a failing run, an empty
 * one. Seeded, so that every run of the tests renders the same pages.
 */
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import type { Latency, LoadInterval, LoadResult, LoadStep } from '../../../src/load/result.ts';

type Random = () => number;

function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
}

/** Around `median`, with a tail: a log-normal by Box and Muller. */
function spread(random: Random, median: number, sigma: number): number {
  return median * Math.exp(sigma * Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random()));
}

function latencyOf(samplesUs: readonly [valueUs: number, count: number][]): Latency {
  const histogram = build({ highestTrackableValue: 3_600_000_000, numberOfSignificantValueDigits: 3 });
  for (const [valueUs, count] of samplesUs) histogram.recordValueWithCount(Math.round(valueUs), count);
  const count = histogram.totalCount;
  const at = (percentile: number) => (count > 0 ? histogram.getValueAtPercentile(percentile) / 1000 : 0);
  return {
    count,
    minMs: at(0),
    meanMs: count > 0 ? histogram.mean / 1000 : 0,
    p50Ms: at(50),
    p90Ms: at(90),
    p99Ms: at(99),
    p999Ms: at(99.9),
    p9999Ms: at(99.99),
    // Exact, where the histogram knows only its bucket's upper end.
    maxMs: samplesUs.reduce((most, [valueUs, of]) => (of > 0 ? Math.max(most, Math.round(valueUs)) : most), 0) / 1000,
    hdr: encodeIntoCompressedBase64(histogram),
  };
}

interface Course {
  requestedRate: number | null;
  seconds: number;
  /** Claims a second that leave, and that come back. */
  sentRate: number;
  ackedRate: number;
  medianMs: number;
  /** When the node is slow for as many milliseconds; it makes up for it in as many after. */
  stall?: { atSeconds: number; ms: number };
}

const INTERVAL_SECONDS = 0.1;
const SAMPLES = 40;

function stepOf(random: Random, { requestedRate, seconds, sentRate, ackedRate, medianMs, stall }: Course): LoadStep {
  const corrected: [number, number][] = [];
  const uncorrected: [number, number][] = [];
  const intervals: LoadInterval[] = [];
  for (let index = 1; index <= Math.round(seconds / INTERVAL_SECONDS); index++) {
    const atSeconds = Number((index * INTERVAL_SECONDS).toFixed(3));
    const stalled =
      stall !== undefined && atSeconds > stall.atSeconds && atSeconds <= stall.atSeconds + stall.ms / 1000;
    const recovering =
      stall !== undefined && !stalled && atSeconds > stall.atSeconds && atSeconds <= stall.atSeconds + stall.ms / 500;
    const ackedPerSecond = ackedRate * (stalled ? 0.4 : recovering ? 1.6 : 0.985 + 0.03 * random());
    const weight = Math.round((ackedPerSecond * INTERVAL_SECONDS) / SAMPLES);
    const waits = Array.from({ length: SAMPLES }, () => spread(random, medianMs, 0.45) * 1000);
    const behind = waits.map((wait) =>
      stalled
        ? wait + 60_000 * (stall.atSeconds + stall.ms / 1000 - atSeconds + INTERVAL_SECONDS * random())
        : wait * (1 + 0.04 * random()),
    );
    for (const wait of behind) corrected.push([wait, weight]);
    for (const wait of waits) uncorrected.push([wait, weight]);
    const ordered = behind.toSorted((left, right) => left - right);
    intervals.push({
      atSeconds,
      sentPerSecond: sentRate * (0.995 + 0.01 * random()),
      ackedPerSecond,
      p50Ms: ordered[SAMPLES / 2]! / 1000,
      p99Ms: ordered[SAMPLES - 2]! / 1000,
      maxMs: (ordered[SAMPLES - 1]! * (1 + random())) / 1000,
    });
  }
  // The rare ones that interval samples do not reach.
  for (let index = 1; index < 60; index++) {
    const valueUs = medianMs * 1000 * (3 + index / 12);
    corrected.push([valueUs * 1.1, 60 - index]);
    uncorrected.push([valueUs, 60 - index]);
  }
  const latency = latencyOf(corrected);
  const sent = Math.max(latency.count, Math.round(sentRate * seconds));
  return {
    requestedRate,
    achievedRate: sent / seconds,
    ackedRate: latency.count / seconds,
    seconds,
    sent,
    datagrams: Math.ceil(sent / 15),
    acked: latency.count,
    ackedByNewer: Math.floor(latency.count / 4),
    already: 0,
    moved: 0,
    resent: 0,
    refused: {},
    expectedRefusals: 0,
    covered: 0,
    faults: { dropped: 0, duplicated: 0, reordered: 0, corrupted: 0, stale: 0 },
    unanswered: sent - latency.count,
    duplicateAcks: 0,
    outOfOrderAcks: 0,
    strayAcks: 0,
    late: { claims: 0, lateMs: 1, maxMs: 0, unsent: 0, blocked: 0 },
    latency,
    uncorrected: latencyOf(uncorrected),
    wire: latencyOf(uncorrected.map(([us, count]) => [us * 0.9, count])),
    intervals,
    delivery: null,
    hiccups: null,
  };
}

function resultOf(steps: LoadStep[], given: Partial<LoadResult>): LoadResult {
  return {
    startedAt: '2026-03-14T09:26:53Z',
    machine: 'Example CPU @ 2.50GHz, 2 cores, 8 GiB, Linux 6.8',
    node: 'v20.19.5',
    to: 'udp://127.0.0.1:7400',
    sender: 'native',
    signer: 'native',
    target: { backend: 'native', kernel: 'avx512ifma', layout: 'lanes' },
    settings: {
      channels: 1000,
      keys: 64,
      perDatagram: 15,
      arrivals: 'constant',
      skew: 'uniform',
      sockets: 2,
      window: 65536,
      seed: 7,
      sloMs: 8,
      lossMax: 0.001,
      refusedMax: 0,
      durationSeconds: steps[0]?.seconds ?? 0,
      warmupSeconds: 2,
      faults: {},
    },
    steps,
    knee: null,
    delivery: null,
    reconciliation: null,
    checks: [
      { name: 'loss', unit: 'share', value: 0.00004, bound: 0.001, held: true },
      { name: 'refused', unit: 'share', value: 0, bound: 0, held: true },
      { name: 'p99', unit: 'ms', value: 4.25, bound: 8, held: true },
    ],
    outcome: given.pass === false ? 'FAIL' : 'PASS',
    pass: true,
    verdict: [],
    ...given,
  };
}

export function plainRun(): LoadResult {
  const random = seeded(1);
  const step = stepOf(random, {
    requestedRate: 500_000,
    seconds: 10,
    sentRate: 499_870,
    ackedRate: 499_800,
    medianMs: 1.1,
    stall: { atSeconds: 6.2, ms: 400 },
  });
  step.acked = step.latency.count;
  step.already = 112;
  step.refused = { BAD_SIGNATURE: 2_540, NOT_HIGHER: 1_020 };
  step.expectedRefusals = 3_560;
  step.unanswered = 0;
  step.sent = step.acked + step.already + 3_560 + 11;
  step.duplicateAcks = 118;
  step.outOfOrderAcks = 9;
  step.strayAcks = 3;
  step.late = { claims: 1_204, lateMs: 1, maxMs: 3.4, unsent: 17, blocked: 0 };
  step.faults = { dropped: 0, duplicated: 5_013, reordered: 0, corrupted: 2_551, stale: 1_020 };
  step.covered = 11;
  return resultOf([step], {
    settings: {
      ...resultOf([step], {}).settings,
      sloMs: 20,
      faults: { dup: 0.001, 'corrupt-signature': 0.0005, stale: 0.0002 },
    },
    delivery: {
      sent: 6_000_123,
      received: 5_999_900,
      verified: 5_990_001,
      acknowledged: 5_990_000,
      acknowledgedByNewer: 1_234_567,
      nodeDrops: 21,
      ackDrops: 0,
    },
    reconciliation: {
      channels: 1000,
      acknowledgedDrops: '18446744073709551615',
      committedDrops: '18446744073709551731',
      short: 0,
    },
    verdict: [
      'p99 was within the SLO of 20 ms.',
      'Every acknowledged amount is at the node, to the drop.',
      'The generator kept up: 0.02 % of the claims left more than 1 ms late.',
    ],
  });
}

export function rampWithKnee(): LoadResult {
  const random = seeded(2);
  const capacity = 830_000;
  const steps = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((tenth) => {
    const requestedRate = 100_000 * tenth;
    const ackedRate = Math.min(requestedRate * 0.997, capacity * (1 - Math.max(0, tenth - 8) * 0.03));
    const load = Math.min(0.995, requestedRate / capacity);
    const medianMs = tenth > 8 ? 60 * (tenth - 7) : 0.35 + 0.12 / (1 - load);
    const step = stepOf(random, { requestedRate, seconds: 3, sentRate: requestedRate * 0.9998, ackedRate, medianMs });
    if (tenth <= 8) Object.assign(step, { sent: step.acked, unanswered: 0 });
    return step;
  });
  const knee = steps[7]!;
  return resultOf(steps, {
    knee: { requestedRate: 800_000, ackedRate: knee.ackedRate, p99Ms: knee.latency.p99Ms },
    settings: { ...resultOf(steps, {}).settings, sloMs: 20 },
    reconciliation: { channels: 1000, acknowledgedDrops: '1234567', committedDrops: '1234567', short: 0 },
    verdict: [
      'Example figures, not a measurement.',
      'The knee is at 800,000 claims/s.',
      'Above it the node was the limit: claims went unanswered.',
    ],
  });
}

/** Names that would be HTML if anybody let them. */
export const HOSTILE = `<script>alert("1")</script> & 'two'`;

export function failingRun(): LoadResult {
  const random = seeded(3);
  const step = stepOf(random, { requestedRate: null, seconds: 5, sentRate: 910_000, ackedRate: 640_000, medianMs: 45 });
  step.refused = { OVERLOADED: 1_310_000, [HOSTILE]: 12 };
  step.unanswered = step.sent - step.acked - 1_310_012;
  // Two intervals in which nothing came back, apart.
  for (const index of [20, 22])
    Object.assign(step.intervals[index]!, { ackedPerSecond: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 });
  return resultOf([step], {
    to: `udp://${HOSTILE}`,
    machine: HOSTILE,
    target: null,
    reconciliation: { channels: 1000, acknowledgedDrops: '9000', committedDrops: '8000', short: 3 },
    pass: false,
    verdict: ['p99 was over the SLO of 8 ms.', `3 channels hold less than was acknowledged. ${HOSTILE}`],
  });
}

/** Nothing came back within the one interval there was. */
export function emptyRun(): LoadResult {
  const step = stepOf(seeded(4), { requestedRate: 1000, seconds: 0, sentRate: 990, ackedRate: 0, medianMs: 1 });
  const none = latencyOf([]);
  return resultOf(
    [
      {
        ...step,
        seconds: 1,
        achievedRate: 990,
        ackedRate: 0,
        sent: 990,
        datagrams: 66,
        acked: 0,
        unanswered: 990,
        latency: none,
        uncorrected: { ...none, hdr: '' },
        wire: null,
        intervals: [{ atSeconds: 1, sentPerSecond: 990, ackedPerSecond: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 }],
      },
    ],
    { pass: false, verdict: ['Nothing was acknowledged.'], target: null },
  );
}
