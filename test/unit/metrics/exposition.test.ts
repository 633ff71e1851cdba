/** GET /metrics as text: everything that is counted is in it, in both formats, and promtool has nothing to say about it. */
import { beforeAll, expect, test } from 'vitest';
import type { NodeStats } from '../../../src/control/node-control.ts';
import { newCounters } from '../../../src/gateway/counters.ts';
import { AdminConnections } from '../../../src/http/connections.ts';
import { CONTENT_TYPES, Exposition, FAMILIES, formatOf } from '../../../src/metrics/exposition.ts';
import { Machine } from '../../../src/metrics/machine.ts';
import { COUNTER_NAMES } from '../../../src/ring/counters.ts';
import { KERNEL_STATS } from '../../../src/verify/kernel.ts';
import { WEB_COUNTER_NAMES } from '../../../src/web/counters.ts';
import { FakeLedgerControl } from '../../support/fake-ledger-control.ts';
import { FakeMeasures } from '../../support/fake-measures.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { hasPrograms, runProgram } from '../../support/prometheus.ts';

/** Each counter has a value of its own, by which it is found again. */
const values = new Map<string, number>();
let next = 7_000_001;
const valued = (names: readonly string[], prefix: string) =>
  Object.fromEntries(
    names.map((name) => {
      next += 17;
      values.set(`${prefix}${name}`, next);
      return [name, next];
    }),
  );

function nested(): NodeStats['counters'] {
  const counters: Record<string, number | Record<string, number>> = { ...valued(['charges', 'refunds'], '') };
  for (const [name, value] of Object.entries(valued(COUNTER_NAMES, ''))) {
    const [group, reason] = name.split('.') as [string, string | undefined];
    if (reason === undefined) counters[group] = value;
    else counters[group] = { ...(counters[group] as Record<string, number>), [reason]: value };
  }
  return { ...counters, web: valued(WEB_COUNTER_NAMES, 'web.') };
}

const problems = valued(Object.keys(newCounters().problems), 'gateway.problems.');
const { problems: _, ...gatewayNames } = newCounters();
const gateway = {
  ...valued([...Object.keys(gatewayNames), 'underWay', 'replies', 'replyBytes'], 'gateway.'),
  problems,
};
const http = valued(Object.keys(new AdminConnections({} as never).counters), 'http.');
const redemptions = valued(['paid', 'nothing', 'failed', 'never', 'pending', 'drops', 'feeDrops'], 'redemptions.');
const spans = valued(['exported', 'dropped', 'failed'], 'spans.');
const receipts = valued(['roots', 'leaves', 'given', 'notYet', 'busy', 'failed', 'leftOut'], 'receipts.');
const retries = (prefix: string) => valued(['refused', 'unknown', 'unconfirmed'], prefix);
const standby = { isSynchronous: true, lagBytes: 4_096, lagSeconds: 0.25 };
const cluster = valued(
  [
    'epoch',
    'version',
    'members',
    'silent',
    'shardsServed',
    'shardsMoving',
    'shardsWanted',
    'takeovers',
    'shardsReceived',
  ].concat(['shardsGiven', 'beatsFailed', 'watchRestarts']),
  'cluster.',
);
const stats = {
  gateway,
  cluster: { ...cluster, node: 'a', isLeaving: false, held: { a: 500, b: 524 }, beatAgeMs: 250, lagMs: 40 },
  database: {
    silentMs: 1_500,
    ...valued(['reconnects'], 'database.'),
    appends: retries('appends.'),
    calls: retries('calls.'),
    mayBeUnreplicated: false,
    replication: {
      names: 'ANY 1 (s1, s2)',
      standbys: [
        { ...standby, name: 's1' },
        { ...standby, name: 's2', lagBytes: 0 },
        { name: 'far', isSynchronous: false, lagBytes: 9_000_000, lagSeconds: 12 },
      ],
    },
  },
  // As /stats has amounts.
  redemptions: { ...redemptions, drops: String(redemptions.drops), feeDrops: String(redemptions.feeDrops) },
  spans,
  receipts: { publicKey: '02', buildUs: 3_500_000, ...receipts },
  backend: 'native',
  kernel: 'avx2',
  layout: 'lanes',
  verifiers: 2,
  sockets: 'native',
  path: 'native',
  durability: 'sync',
  store: 'embedded',
  verify: 'every',
  uptimeSeconds: 12.5,
  channels: 3,
  channelsMax: 1_024,
  ring: { depth: 5, slots: 16_384 },
  counters: nested(),
  keyTables: valued(KERNEL_STATS, 'keyTables.'),
  tuning: { settings: [{ name: 'verifyBatch', value: 512 }], kept: 8, undone: 9 },
} as unknown as NodeStats;

const measures = new FakeMeasures();
const clock = new ManualClock();
const exposure = {
  exposure: () => ({ drops: 25n, ending: [{ seconds: 3_600, drops: 5n, channels: 1 }], ageSeconds: 0.5 }),
};
let scrapes = 0;
const control = {
  ready: true,
  stats: () => {
    scrapes++;
    return stats;
  },
};
const machine = new Machine('/');
const parts = { control, exposure, measures, ledger: new FakeLedgerControl(), machine, clock };
const exposition = new Exposition({ ...parts, version: '1.2.3' });

const texts = { prometheus: '', openmetrics: '' };
beforeAll(async () => {
  const [lane, other] = measures.lanes;
  lane!.ack.add(0.000_06, 3);
  other!.ack.add(0.004, 2);
  other!.ack.add(30, 1);
  lane!.stages.sync.add(0.001, 5);
  lane!.sync.add(0.001, 4);
  lane!.group.add(100, 2);
  // Where OpenMetrics comes first, its names must not stay with the other format.
  texts.openmetrics = await exposition.text('openmetrics', http);
  texts.prometheus = await exposition.text('prometheus', http);
});

/** Lines of a metric without its comments. */
const lines = (text: string, name: string) => text.split('\n').filter((line) => line.match(/^\w+/)?.[0] === name);

test('each counter of the node, the web process, the kernel, the admin server and the gateway is in it', () => {
  const shown = new Set(
    texts.prometheus
      .split('\n')
      .filter((line) => line.startsWith('claimwire_'))
      .map((line) => Number(line.split(' ').at(-1))),
  );
  const scale = (name: string) => (/^(syncWaitUs|busyUs\.)/.test(name) ? 1e6 : 1);
  const missing = [...values].filter(([name, value]) => !shown.has(value / scale(name))).map(([name]) => name);
  expect(values.size).toBeGreaterThan(COUNTER_NAMES.length + WEB_COUNTER_NAMES.length + KERNEL_STATS.length);
  expect(missing, 'give each a line in src/metrics/families.ts or peer-families.ts').toEqual([]);
});

test("a node's part in its cluster, and how far the standbys of its database are", () => {
  const shown = (name: string) => lines(texts.prometheus, `claimwire_${name}`);
  expect(shown('cluster_shards_held')).toEqual([
    'claimwire_cluster_shards_held{member="a"} 500',
    'claimwire_cluster_shards_held{member="b"} 524',
  ]);
  expect(shown('cluster_beat_age_seconds')).toEqual(['claimwire_cluster_beat_age_seconds 0.25']);
  expect(shown('store_silent_seconds')).toEqual(['claimwire_store_silent_seconds 1.5']);
  expect(shown('store_standbys')).toEqual([
    'claimwire_store_standbys{kind="synchronous"} 2',
    'claimwire_store_standbys{kind="other"} 1',
  ]);
  expect(shown('store_replication_lag_bytes')[2]).toBe('claimwire_store_replication_lag_bytes{standby="far"} 9000000');
  expect(shown('store_replication_lag_seconds')[0]).toBe('claimwire_store_replication_lag_seconds{standby="s1"} 0.25');
});

test('a node that was told that one server is enough does not miss a synchronous standby; one that may not see them tells none', () => {
  const family = FAMILIES.find(({ name }) => name === 'claimwire_store_standbys')!;
  const read = (database: object) =>
    family.read({ stats: { database } } as unknown as Parameters<typeof family.read>[0]).map(({ value }) => value);
  const alone = { names: '', standbys: [] };
  expect(read({ mayBeUnreplicated: false, replication: alone })).toEqual([0, 0]);
  expect(read({ mayBeUnreplicated: true, replication: alone })).toEqual([0]);
  expect(read({ mayBeUnreplicated: true, replication: { names: 's1', standbys: [standby] } })).toEqual([1, 0]);
  expect(read({ mayBeUnreplicated: false, replication: { names: 's1', standbys: null } })).toEqual([]);
  expect(read({ mayBeUnreplicated: false, replication: null })).toEqual([]);
});

test('what the optimiser has set, and what became of its changes', () => {
  expect(lines(texts.prometheus, 'claimwire_tuning_setting')).toEqual([
    'claimwire_tuning_setting{setting="verifyBatch"} 512',
  ]);
  expect(lines(texts.prometheus, 'claimwire_tuning_changes_total')).toEqual([
    'claimwire_tuning_changes_total{outcome="kept"} 8',
    'claimwire_tuning_changes_total{outcome="undone"} 9',
  ]);
});

test.each(['prometheus', 'openmetrics'] as const)(
  '%s: names, types, labels and histograms are as they should be',
  (format) => {
    const text = texts[format];
    const isOpen = format === 'openmetrics';
    expect(text.endsWith(isOpen ? '\n# EOF\n' : '\n')).toBe(true);
    expect(text).toContain(`# TYPE claimwire_claims_received${isOpen ? '' : '_total'} counter\n`);
    expect(text).toContain('\nclaimwire_claims_received_total ');
    expect(text).toContain(`# TYPE process_cpu_seconds${isOpen ? '' : '_total'} counter\n`);
    expect(text).toContain('\nprocess_cpu_seconds_total ');
    expect(lines(text, 'claimwire_info')).toEqual([
      `claimwire_info{version="1.2.3",node="${process.version}",backend="native",kernel="avx2",layout="lanes",sockets="native",path="native",durability="sync",store="embedded",verify="every"} 1`,
    ]);
    expect(lines(text, 'claimwire_ack_seconds_bucket').slice(0, 3)).toEqual([
      'claimwire_ack_seconds_bucket{le="0.00005"} 0',
      'claimwire_ack_seconds_bucket{le="0.0001"} 3',
      'claimwire_ack_seconds_bucket{le="0.0002"} 3',
    ]);
    expect(lines(text, 'claimwire_ack_seconds_bucket').slice(-2)).toEqual([
      'claimwire_ack_seconds_bucket{le="10"} 5',
      'claimwire_ack_seconds_bucket{le="+Inf"} 6',
    ]);
    expect(lines(text, 'claimwire_ack_seconds_count')).toEqual(['claimwire_ack_seconds_count 6']);
    expect(lines(text, 'claimwire_stage_seconds_count')).toContain('claimwire_stage_seconds_count{stage="sync"} 5');
    expect(lines(text, 'claimwire_group_claims_sum')).toEqual(['claimwire_group_claims_sum 200']);
    expect(lines(text, 'claimwire_exposure_drops')).toEqual(['claimwire_exposure_drops 25']);
    expect(lines(text, 'claimwire_ledger_age_seconds')).toEqual(['claimwire_ledger_age_seconds 4']);
  },
);

test('names are unique, and every value has the labels of its family', () => {
  const names = FAMILIES.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, type, labels } of FAMILIES) {
    expect(name, name).toMatch(/^claimwire_[a-z_]+$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    const own = texts.prometheus
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    for (const line of own) expect([...line.matchAll(/(\w+)="/g)].map(([, label]) => label!)).toEqual(labels);
  }
});

test('a node without a ledger, a gateway, latencies and a kernel, before the first walk, says nothing of them', async () => {
  const { gateway: _gateway, ...alone } = stats as unknown as Record<string, unknown>;
  const bare = new Exposition({
    control: { ready: false, stats: () => ({ ...alone, keyTables: null, kernel: null }) as unknown as NodeStats },
    exposure: { exposure: () => ({ drops: 0n, ending: [], ageSeconds: null }) },
    machine: new Machine(undefined),
    clock: new ManualClock(),
    version: '0',
  });
  const text = await bare.text('prometheus', http);
  const absent = [
    'ledger_age_seconds',
    'gateway_requests_total',
    'key_cache_misses_total',
    'exposure_drops',
    'ack_seconds_count',
  ];
  for (const name of absent) expect(lines(text, `claimwire_${name}`), name).toEqual([]);
  expect(lines(text, 'claimwire_ready')).toEqual(['claimwire_ready 0']);
  expect(text).toContain('kernel="none"');
});

test('many scrapers cost ten scrapes a second', async () => {
  clock.advance(1_000);
  const before = scrapes;
  await Promise.all(Array.from({ length: 50 }, () => exposition.text('prometheus', http)));
  expect(scrapes).toBe(before + 1);
  clock.advance(99);
  await exposition.text('prometheus', http);
  expect(scrapes).toBe(before + 1);
  clock.advance(1);
  await exposition.text('prometheus', http);
  expect(scrapes).toBe(before + 2);
});

test('the Accept header chooses', () => {
  const prometheus =
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
  expect(formatOf(prometheus)).toBe('openmetrics');
  expect(formatOf('text/plain;q=0.9, application/openmetrics-text;q=0.8')).toBe('prometheus');
  for (const accept of [undefined, '*/*', 'text/html', 'application/openmetrics-text;q=0'])
    expect(formatOf(accept)).toBe('prometheus');
  expect(CONTENT_TYPES.openmetrics).toContain('openmetrics');
});

test.runIf(hasPrograms('promtool'))('promtool finds nothing to say about it', () => {
  expect(runProgram('promtool', ['check', 'metrics'], texts.prometheus)).toEqual({ code: 0, output: '' });
});
