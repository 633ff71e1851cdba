/** The bottleneck finder on profiles whose bottleneck is known. */
import { describe, expect, test } from 'vitest';
import { type BottleneckKind, bottleneckOf } from '../../../src/metrics/bottleneck.ts';
import type { MachineFigures } from '../../../src/metrics/machine-figures.ts';
import type { Percentiles, Sample } from '../../../src/metrics/sample.ts';

const NONE: Percentiles = { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
const QUIET: Sample = {
  at: 0,
  seconds: 1,
  uptimeSeconds: 100,
  ready: true,
  rates: {
    datagrams: 1_500,
    received: 20_000,
    committed: 20_000,
    already: 0,
    acked: 5_000,
    refused: 0,
    dropped: 0,
    groups: 800,
    syncs: 800,
    journalBytes: 4e6,
    charges: 0,
    linkGaps: 0,
  },
  refused: {},
  dropped: {},
  ack: NONE,
  stages: { queue: NONE, receive: NONE, verify: NONE, commit: NONE, sync: NONE, ack: NONE },
  sync: { count: 800, p50: 0.1, p90: 0.2, p99: 0.4, p999: 1, max: 2 },
  groupClaims: 25,
  busy: { receive: 0.02, verify: 0.06, commit: 0.02, write: 0.03, send: 0.02 },
  ring: { depth: 20, slots: 8_192 },
  lanes: [],
  channels: { open: 1_000, max: 2_097_152 },
  exposureDrops: '0',
  keyTables: null,
  connections: { tcp: 0, websocket: 0, webrtc: 0 },
  memory: { resident: 4e8, limit: 16e9 },
  ledger: null,
  bottleneck: null,
};
const MACHINE: MachineFigures = {
  cores: 4,
  threads: 4,
  committers: 4,
  ownCores: 0.3,
  otherCores: 0.1,
  waitedCores: 0.01,
  keyTables: { lookups: 20_000, misses: 0, evictions: 0 },
  mainDelayMs: 2,
};
const busyLanes = { receive: 0.35, verify: 2.7, commit: 0.35, write: 0.1, send: 0.2 };
const full = { depth: 8_100, slots: 8_192 };
const rates = (changes: Partial<Sample['rates']>) => ({ rates: { ...QUIET.rates, ...changes } });

/** Name of the profile, its bottleneck, what differs in the sample, what differs in the machine, a part of the advice. */
const PROFILES: [string, BottleneckKind, Partial<Sample>, Partial<MachineFigures>, RegExp][] = [
  ['verify-bound', 'verify', { busy: busyLanes }, { ownCores: 3.9 }, /Add cores/],
  [
    'receive-bound: one claim a datagram',
    'receive',
    { busy: { receive: 2.2, verify: 0.8, commit: 0.3, write: 0.1, send: 0.4 } },
    { ownCores: 3.9 },
    /more claims into a datagram/,
  ],
  [
    'commit-bound: the path in TypeScript',
    'commit',
    { busy: { receive: 0.8, verify: 0.7, commit: 1.9, write: 0.2, send: 0.3 } },
    { ownCores: 3.9 },
    /path is native/,
  ],
  [
    'commit-bound by many small groups: writing counts as committing',
    'commit',
    { busy: { receive: 0.6, verify: 0.6, commit: 0.4, write: 1.6, send: 0.3 } },
    { ownCores: 3.9 },
    /Add lanes/,
  ],
  [
    'disk sync-bound',
    'disk-sync',
    { sync: { ...QUIET.sync, p50: 5.2 }, ...rates({ syncs: 740, groups: 740 }) },
    {},
    /syncs faster/,
  ],
  [
    'disk sync-bound: writes block as long as syncs',
    'disk-sync',
    { sync: { ...QUIET.sync, p50: 2.1 }, groupClaims: 40, ...rates({ syncs: 950, groups: 950 }) },
    {},
    /syncs faster/,
  ],
  [
    'a claim a group at a low rate: the disk is not waited for',
    'payers',
    { sync: { ...QUIET.sync, p50: 2.1 }, groupClaims: 1.2, ...rates({ syncs: 950, groups: 950 }) },
    {},
    /Nothing/,
  ],
  [
    'disk sync-bound: sockets overflow and rings fill because of it',
    'disk-sync',
    {
      sync: { ...QUIET.sync, p50: 20 },
      ring: full,
      dropped: { socketBuffer: 900 },
      refused: { overloaded: 5_000 },
      ...rates({ syncs: 190, groups: 190 }),
    },
    {},
    /syncs faster/,
  ],
  [
    'disk writes all it can',
    'disk-throughput',
    { sync: { ...QUIET.sync, p50: 2 }, ...rates({ journalBytes: 95e6 }) },
    { diskBytesPerSecondMax: 100e6 },
    /faster disk/,
  ],
  [
    "the sockets' buffers overflow",
    'receive-buffer',
    { dropped: { socketBuffer: 300 }, ...rates({ dropped: 300 }) },
    {},
    /net\.core\.rmem_max/,
  ],
  [
    'datagrams are dropped because verifying takes all: a larger buffer would not help',
    'verify',
    { busy: busyLanes, dropped: { socketBuffer: 3_000 } },
    { ownCores: 3.9 },
    /Add cores/,
  ],
  [
    'acks find no room to be sent',
    'send',
    { dropped: { sendQueueFull: 700 }, busy: { receive: 0.5, verify: 0.8, commit: 0.3, write: 0.1, send: 0.9 } },
    {},
    /fewer sockets/,
  ],
  [
    'sending takes most: an ack a datagram',
    'send',
    { busy: { receive: 0.6, verify: 0.6, commit: 0.3, write: 0.2, send: 1.9 } },
    { ownCores: 3.8 },
    /acks share datagrams/,
  ],
  [
    'the ring is smaller than a burst',
    'ring',
    { ring: { depth: 512, slots: 512 }, refused: { overloaded: 4_000 }, ...rates({ refused: 4_000 }) },
    {},
    /--ring-slots/,
  ],
  [
    'key tables evicted',
    'key-tables',
    { busy: busyLanes },
    { ownCores: 3.9, keyTables: { lookups: 200_000, misses: 150_000, evictions: 149_000 } },
    /--key-cache/,
  ],
  [
    'fewer lanes than cores',
    'few-lanes',
    { busy: { ...busyLanes, verify: 0.5, receive: 0.2, commit: 0.2 } },
    { threads: 1, committers: 1, ownCores: 1.2, otherCores: 0.3 },
    /--lanes 4/,
  ],
  [
    'one core is taken by others',
    'core-taken',
    { busy: { ...busyLanes, verify: 1.9 } },
    { ownCores: 2.9, otherCores: 1.05, waitedCores: 0.9 },
    /taskset/,
  ],
  [
    'cores are taken, and syncs end late because of it',
    'core-taken',
    { sync: { ...QUIET.sync, p50: 35 }, groupClaims: 600, ...rates({ syncs: 52, groups: 52 }) },
    { otherCores: 3.5, waitedCores: 3.2 },
    /taskset/,
  ],
  [
    'main thread busy with requests',
    'main-thread',
    { ...rates({ charges: 9_000 }) },
    { mainDelayMs: 240, ownCores: 1.3 },
    /charges in batches/,
  ],
  [
    'memory nearly full',
    'memory',
    { memory: { resident: 15.5e9, limit: 16e9 }, busy: busyLanes },
    { ownCores: 3.9 },
    /--key-cache/,
  ],
  ['payers send little', 'payers', {}, {}, /Nothing/],
  [
    'no claims at all, and the disk is slow',
    'payers',
    {
      busy: { receive: 0, verify: 0, commit: 0, write: 0, send: 0 },
      sync: { ...QUIET.sync, p50: 30 },
      ...rates({ received: 0, committed: 0, groups: 0, syncs: 0, journalBytes: 0 }),
    },
    {},
    /Nothing/,
  ],
];

describe('profiles with a known bottleneck', () => {
  test.each(PROFILES)('%s: %s', (_name, kind, sample, machine, advice) => {
    const found = bottleneckOf({ ...QUIET, ...sample }, { ...MACHINE, ...machine });
    expect(found.kind, JSON.stringify(found)).toBe(kind);
    expect(found.change).toMatch(advice);
    expect(found.evidence.length).toBeGreaterThan(0);
    for (const line of [found.says, found.change, ...found.evidence])
      expect(line).not.toMatch(/NaN|Infinity|undefined/);
  });
});

test('a mean of the syncs that was measured goes before the median of a sample without one', () => {
  const sample = { ...QUIET, sync: NONE, ...rates({ syncs: 700 }) };
  expect(bottleneckOf(sample, { ...MACHINE, syncMeanMs: 5.5 }).kind).toBe('disk-sync');
  expect(bottleneckOf(sample, MACHINE).kind).toBe('payers');
});

test('an empty sample of a node that has just started is no fault', () => {
  const zero = { receive: 0, verify: 0, commit: 0, write: 0, send: 0 };
  const empty = { ...QUIET, busy: zero, ring: { depth: 0, slots: 0 }, memory: { resident: 0, limit: 0 } };
  const nothing = { ...MACHINE, threads: 0, committers: 0, keyTables: { lookups: 0, misses: 0, evictions: 0 } };
  expect(bottleneckOf(empty, nothing).kind).toBe('payers');
});
