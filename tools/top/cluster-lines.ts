/** What `claimwire top` says of the node's cluster and database. Pure functions. */
import type { Sample } from '../../src/metrics/sample.ts';
import { durationText } from '../units.ts';
import { grouped, timeText } from './figures.ts';
import { type Line, labelled, type Piece } from './lines.ts';

/** As long as the database may take before the node counts as not ready. */
const SILENT_MS = 3_000;
/** Of its part: nodes balance by themselves before. */
const SHARE_HIGH = 1.25;

/** None for a node that keeps its channels itself. */
export function clusterLines({ cluster, database }: Sample): Line[] {
  return [...(cluster ? [shardLine(cluster)] : []), ...(database ? [databaseLine(database)] : [])];
}

function shardLine(cluster: NonNullable<Sample['cluster']>): Line {
  const { epoch, version, members, silent, isLeaving, shardsServed, shardsWanted, shardsMoving } = cluster;
  const shards = `${grouped(shardsServed)} of ${grouped(shardsWanted)} shards`;
  const isUneven = shardsServed > shardsWanted * SHARE_HIGH;
  const moving = shardsMoving > 0 ? `, ${shardsMoving} moving` : '';
  const others: Piece[] =
    silent > 0 ? ['   ', [`${silent} of ${members} nodes SILENT`, 'bad']] : [`   ${members} nodes`];
  return labelled(
    'cluster',
    isUneven ? [shards, 'warn'] : shards,
    `${moving}${isLeaving ? ', leaving' : ''}`,
    ...others,
    `   epoch ${epoch}, map ${version}`,
  );
}

function databaseLine({ silentMs, retried, standbys }: NonNullable<Sample['database']>): Line {
  const seen: Piece = silentMs < SILENT_MS ? 'answers' : [`SILENT for ${durationText(silentMs)}`, 'bad'];
  const again: Piece = retried > 0 ? [`   ${grouped(retried)} appends made again`, 'warn'] : '';
  if (!standbys) return labelled('database', seen, again);
  const { synchronous, other, lagSeconds } = standbys;
  const count = `   ${synchronous} synchronous, ${other} other standbys`;
  return labelled(
    'database',
    seen,
    synchronous === 0 ? [count, 'bad'] : count,
    `, ${timeText(lagSeconds * 1_000)} behind`,
    again,
  );
}
