/** What the live page and `claimwire top` show of a node's cluster and database, out of /stats. Any thread. */
import type { ClusterFigures } from '../control/cluster-control.ts';
import type { NodeStats } from '../control/node-control.ts';
import type { Sample } from './sample.ts';

/** Neither for a node that keeps its channels itself. */
export function clusterLook(stats: NodeStats): Pick<Sample, 'cluster' | 'database'> {
  const { cluster, database } = stats as NodeStats & { cluster?: ClusterFigures };
  return { ...(cluster && { cluster: shardsOf(cluster) }), ...(database && { database: storeOf(database) }) };
}

function shardsOf(figures: ClusterFigures): NonNullable<Sample['cluster']> {
  const { epoch, version, members, silent, isLeaving, shardsServed, shardsWanted, shardsMoving } = figures;
  return { epoch, version, members, silent, isLeaving, shardsServed, shardsWanted, shardsMoving };
}

function storeOf({
  silentMs,
  appends,
  replication,
}: NonNullable<NodeStats['database']>): NonNullable<Sample['database']> {
  const standbys = replication?.standbys;
  const retried = Object.values(appends).reduce((sum, count) => sum + count, 0);
  if (!standbys) return { silentMs, retried, standbys: null };
  return {
    silentMs,
    retried,
    standbys: {
      synchronous: standbys.filter(({ isSynchronous }) => isSynchronous).length,
      other: standbys.filter(({ isSynchronous }) => !isSynchronous).length,
      lagSeconds: Math.max(0, ...standbys.map(({ lagSeconds }) => lagSeconds)),
    },
  };
}
