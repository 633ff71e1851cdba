/** Metrics of a node that shares a database with others: its part in the cluster, and how it and the database get on. Any thread. */
import type { ClusterFigures } from '../control/cluster-control.ts';
import type { NodeStats } from '../control/node-control.ts';
import { counter, type Facts, type Family, gauge, labelled } from './family.ts';

type StoreFigures = NonNullable<NodeStats['database']>;
type StandbyFigures = NonNullable<NonNullable<StoreFigures['replication']>['standbys']>[number];

const RETRIES = ['refused', 'unknown', 'unconfirmed'] as const;

/** One figure of the node's part in its cluster; none without --cluster. */
const ofCluster =
  (read: (figures: ClusterFigures) => number) =>
  ({ beside }: Facts) => {
    const figures = beside.cluster as ClusterFigures | undefined;
    return figures && read(figures);
  };
/** One figure of the database; none for a node that keeps its channels itself. */
const ofStore =
  (read: (figures: StoreFigures) => number) =>
  ({ stats: { database } }: Facts) =>
    database && read(database);

function standbys({ stats }: Facts): readonly StandbyFigures[] | undefined {
  return stats.database?.replication?.standbys ?? undefined;
}

/** Undefined for synchronous ones where the node was told that none is needed. */
function standbyCounts(facts: Facts): [string, number | undefined][] {
  const all = standbys(facts);
  const synchronous = all?.filter(({ isSynchronous }) => isSynchronous).length;
  const isUnwanted = facts.stats.database?.mayBeUnreplicated === true && synchronous === 0;
  return [
    ['synchronous', isUnwanted ? undefined : synchronous],
    ['other', all && all.length - synchronous!],
  ];
}

const cluster: Family[] = [
  gauge(
    'claimwire_cluster_epoch',
    'Epoch of the node. It rises with each start of the node and with each takeover of it.',
    ofCluster(({ epoch }) => epoch),
  ),
  gauge(
    'claimwire_cluster_map_version',
    'Version of the map of shards that the node goes by.',
    ofCluster(({ version }) => version),
  ),
  gauge(
    'claimwire_cluster_members',
    'Nodes of the cluster that this node sees, itself among them.',
    ofCluster(({ members }) => members),
  ),
  gauge(
    'claimwire_cluster_members_silent',
    'Of these, others whose beats stand still for as long as a takeover waits.',
    ofCluster(({ silent }) => silent),
  ),
  gauge(
    'claimwire_cluster_leaving',
    '1 while the node gives its shards away and takes none.',
    ofCluster(({ isLeaving }) => Number(isLeaving)),
  ),
  gauge(
    'claimwire_cluster_shards_served',
    'Shards that the node serves. The sum over all nodes is 1,024.',
    ofCluster(({ shardsServed }) => shardsServed),
  ),
  gauge(
    'claimwire_cluster_shards_wanted',
    'Part of all shards that the node should have.',
    ofCluster(({ shardsWanted }) => shardsWanted),
  ),
  gauge(
    'claimwire_cluster_shards_moving',
    'Shards that the node loads or gives away now.',
    ofCluster(({ shardsMoving }) => shardsMoving),
  ),
  labelled(
    'gauge',
    'claimwire_cluster_shards_held',
    'Shards that each member holds, by the map of this node.',
    'member',
    ({ beside }) => Object.entries((beside.cluster as ClusterFigures | undefined)?.held ?? {}),
  ),
  labelled('counter', 'claimwire_cluster_shards_moved_total', 'Shards that changed hands, by way.', 'way', (facts) => [
    ['received', ofCluster(({ shardsReceived }) => shardsReceived)(facts)],
    ['given', ofCluster(({ shardsGiven }) => shardsGiven)(facts)],
  ]),
  counter(
    'claimwire_cluster_takeovers_total',
    'Other nodes that this node took over.',
    ofCluster(({ takeovers }) => takeovers),
  ),
  counter(
    'claimwire_cluster_beats_failed_total',
    'Beats of the node that were refused or failed.',
    ofCluster(({ beatsFailed }) => beatsFailed),
  ),
  gauge(
    'claimwire_cluster_beat_age_seconds',
    'Since the last beat of the node that was confirmed. At one second others take the node over.',
    ofCluster(({ beatAgeMs }) => beatAgeMs / 1e3),
  ),
  counter(
    'claimwire_cluster_watch_restarts_total',
    'Times that the others were watched anew: the node stood still or could not reach the database.',
    ofCluster(({ watchRestarts }) => watchRestarts),
  ),
];

const retried = (name: string, help: string, of: 'appends' | 'calls') =>
  labelled('counter', name, help, 'reason', ({ stats: { database } }) =>
    RETRIES.map((reason) => [reason, database?.[of][reason]] as const),
  );

const store: Family[] = [
  gauge(
    'claimwire_store_silent_seconds',
    'Since the database last answered. It is asked each second.',
    ofStore(({ silentMs }) => silentMs / 1e3),
  ),
  counter(
    'claimwire_store_reconnects_total',
    'Connections to the database that were made again.',
    ofStore(({ reconnects }) => reconnects),
  ),
  retried(
    'claimwire_store_appends_retried_total',
    'Appends of claims made again, by reason. unknown: the connection ended before the answer. unconfirmed: no standby was awaited.',
    'appends',
  ),
  retried(
    'claimwire_store_calls_retried_total',
    'All other calls of the database made again, by the same reasons.',
    'calls',
  ),
  labelled(
    'gauge',
    'claimwire_store_standbys',
    'Standbys that follow the primary, by kind. Commits wait for the synchronous ones.',
    'kind',
    standbyCounts,
  ),
  labelled(
    'gauge',
    'claimwire_store_replication_lag_bytes',
    'What is on the disk of the primary and not yet on that of the standby.',
    'standby',
    (facts) => standbys(facts)?.map(({ name, lagBytes }) => [name, lagBytes] as const) ?? [],
  ),
  labelled(
    'gauge',
    'claimwire_store_replication_lag_seconds',
    'How long the last write took from the primary to the disk of the standby.',
    'standby',
    (facts) => standbys(facts)?.map(({ name, lagSeconds }) => [name, lagSeconds] as const) ?? [],
  ),
];

export const CLUSTER_FAMILIES: readonly Family[] = [...cluster, ...store];
