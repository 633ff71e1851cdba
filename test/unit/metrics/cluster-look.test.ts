/** What the live page and `claimwire top` are told of a cluster, out of /stats. */
import { expect, test } from 'vitest';
import type { NodeStats } from '../../../src/control/node-control.ts';
import { clusterLook } from '../../../src/metrics/cluster-look.ts';
import { clusterTerms } from '../../../src/page/cluster-terms.ts';
import { FakeClusterControl } from '../../support/fake-cluster-control.ts';
import { sampleAt } from '../../support/fake-feed.ts';

const { figures } = new FakeClusterControl();
const look = (stats: object) => clusterLook(stats as NodeStats);
const database = {
  silentMs: 40,
  reconnects: 1,
  appends: { refused: 1, unknown: 2, unconfirmed: 4 },
  calls: { refused: 0, unknown: 0, unconfirmed: 0 },
  mayBeUnreplicated: false,
  replication: {
    names: 's1',
    standbys: [
      { name: 's1', isSynchronous: true, lagBytes: 0, lagSeconds: 0.002 },
      { name: 'far', isSynchronous: false, lagBytes: 9, lagSeconds: 3 },
    ],
  },
};

test('a node that keeps its channels itself has neither', () => {
  expect(look({ store: 'embedded' })).toEqual({});
  expect(clusterTerms(sampleAt(1))).toEqual([]);
});

test('shards, members, appends made again, and the standby that is farthest behind', () => {
  const { cluster, database: seen } = look({ cluster: figures, database });
  expect(cluster).toMatchObject({ shardsServed: 512, shardsWanted: 512, members: 2, silent: 0, epoch: 3, version: 17 });
  expect(cluster).not.toHaveProperty('held');
  expect(seen).toEqual({ silentMs: 40, retried: 7, standbys: { synchronous: 1, other: 1, lagSeconds: 3 } });
  expect(look({ database: { ...database, replication: null } }).database?.standbys).toBeNull();
});

test('the page says it in words', () => {
  expect(clusterTerms(sampleAt(1, look({ cluster: { ...figures, silent: 1 }, database })))).toEqual([
    ['Shards', 'serves 512, its part is 512'],
    ['Cluster', '2 nodes, 1 of them SILENT; epoch 3, map 17'],
    ['Database', 'answers; 7 appends made again'],
    ['Standbys', '1 synchronous, 1 other, 3,000 ms behind'],
  ]);
});
