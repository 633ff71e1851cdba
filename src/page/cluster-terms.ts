/** How a node's cluster and database stand, in words. */
import type { Sample } from '../metrics/sample.ts';
import { countText, durationText, msText } from './units.ts';

/** As long as the database may take before the node counts as not ready. */
const SILENT_MS = 3_000;

/** Of a node that shares a database with others. */
export function clusterTerms({ cluster, database }: Sample): [string, string][] {
  const terms: [string, string][] = [];
  if (cluster !== undefined) {
    const { epoch, version, members, silent, isLeaving, shardsServed, shardsWanted, shardsMoving } = cluster;
    const moving = shardsMoving > 0 ? `, ${shardsMoving} are moved` : '';
    terms.push([
      'Shards',
      `serves ${shardsServed}, its part is ${shardsWanted}${moving}${isLeaving ? '; it leaves' : ''}`,
    ]);
    const others = silent > 0 ? `, ${silent} of them SILENT` : '';
    terms.push(['Cluster', `${members} nodes${others}; epoch ${epoch}, map ${countText(version)}`]);
  }
  if (database !== undefined) {
    const { silentMs, retried, standbys } = database;
    const seen = silentMs < SILENT_MS ? 'answers' : `SILENT for ${durationText(silentMs / 1e3)}`;
    terms.push(['Database', `${seen}; ${countText(retried)} appends made again`]);
    if (standbys !== null) {
      const { synchronous, other, lagSeconds } = standbys;
      terms.push(['Standbys', `${synchronous} synchronous, ${other} other, ${msText(lagSeconds * 1e3)} ms behind`]);
    }
  }
  return terms;
}
