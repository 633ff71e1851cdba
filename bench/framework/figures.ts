/** The report's figures: their names, units and floors. Those of the parts are listed here, those of nodes are made here. */
import type { Values } from './measure.ts';
import type { NodeResult } from './node-part.ts';
import type { FigureReport } from './schema.ts';
import { median, summarize } from './statistics.ts';

export interface FigureSpec {
  part: string;
  name: string;
  unit: string;
  better: 'higher' | 'lower' | 'neither';
  /** Whoever makes the figures measures nothing. */
  measure(): number;
}

const figure = (part: string, name: string, unit: string, better: FigureSpec['better'] = 'higher'): FigureSpec => ({
  part,
  name,
  unit,
  better,
  measure: () => Number.NaN,
});

export const FIGURES: readonly FigureSpec[] = [
  figure('codec', 'codec.decodeNs', 'ns a claim', 'lower'),
  figure('codec', 'codec.encodeNs', 'ns a claim', 'lower'),
  figure('codec', 'codec.ackNs', 'ns an ack', 'lower'),
  figure('codec', 'codec.memcpyNs', 'ns a claim', 'lower'),
  figure('sockets', 'sockets.allPerSecond', 'datagrams/s'),
  figure('sockets', 'sockets.oneACallPerSecond', 'datagrams/s'),
  figure('sockets', 'acks.packedPerSecond', 'acks/s'),
  figure('table', 'table.perSecond', 'look-ups/s'),
  figure('table', 'table.objectsPerSecond', 'look-ups/s'),
  figure('ring', 'ring.claimsPerSecond', 'claims/s'),
  figure('ring', 'ring.cursorsClaimsPerSecond', 'claims/s'),
  figure('verify', 'verify.perSecond', 'claims/s'),
  figure('verify', 'verify.oneACallPerSecond', 'claims/s'),
  figure('verify', 'verify.opensslPerSecond', 'claims/s'),
  figure('verify', 'verify.textbookPerSecond', 'claims/s'),
  figure('verify', 'tables.offPerSecond', 'claims/s'),
  figure('disk', 'journal.oneClaimAGroupPerSecond', 'claims/s'),
  figure('disk', 'journal.syncMs', 'ms', 'lower'),
  figure('disk', 'journal.groupedPerSecond', 'claims/s'),
  figure('disk', 'journal.bytesPerSecond', 'bytes/s'),
  figure('disk', 'disk.floorSyncsPerSecond', 'syncs/s'),
];

/** Ratios to floors of the same rounds. Of times, the floor is above the line, so that more is always better. */
export const RATIOS: readonly { part: string; name: string; of: string; to: string; floor: string }[] = [
  { part: 'codec', name: 'codec.vsMemcpy', of: 'codec.memcpyNs', to: 'codec.decodeNs', floor: 'codec.memcpyNs' },
  { part: 'codec', name: 'codec.encodeVsMemcpy', of: 'codec.memcpyNs', to: 'codec.encodeNs', floor: 'codec.memcpyNs' },
  { part: 'codec', name: 'codec.ackVsMemcpy', of: 'codec.memcpyNs', to: 'codec.ackNs', floor: 'codec.memcpyNs' },
  {
    part: 'sockets',
    name: 'sockets.vsOneACall',
    of: 'sockets.allPerSecond',
    to: 'sockets.oneACallPerSecond',
    floor: 'sockets.oneACallPerSecond',
  },
  {
    part: 'table',
    name: 'table.vsObjects',
    of: 'table.perSecond',
    to: 'table.objectsPerSecond',
    floor: 'table.objectsPerSecond',
  },
  {
    part: 'ring',
    name: 'ring.vsCursors',
    of: 'ring.claimsPerSecond',
    to: 'ring.cursorsClaimsPerSecond',
    floor: 'ring.cursorsClaimsPerSecond',
  },
  {
    part: 'verify',
    name: 'verify.vsOpenssl',
    of: 'verify.perSecond',
    to: 'verify.opensslPerSecond',
    floor: 'verify.opensslPerSecond',
  },
  {
    part: 'disk',
    name: 'journal.vsBareSync',
    of: 'journal.oneClaimAGroupPerSecond',
    to: 'disk.floorSyncsPerSecond',
    floor: 'disk.floorSyncsPerSecond',
  },
];

/** Figures of the base node, one value a run, and its rate as a share of what the lanes' cores could verify. */
export function nodeFigures(node: NodeResult, values: Values, cores: number, seed: number): FigureReport[] {
  const runs = node.runs.get('base') ?? [];
  if (runs.length === 0) return [];
  const one = (
    name: string,
    unit: string,
    better: FigureSpec['better'],
    list: number[],
    floor?: string,
  ): FigureReport => ({
    part: 'node',
    name,
    unit,
    better,
    ...summarize(list, seed, name),
    ...(floor !== undefined && { floor }),
  });
  const figures = [
    one(
      'node.claimsPerSecond',
      'claims/s',
      'higher',
      runs.map(({ perSecond }) => perSecond),
    ),
    one(
      'node.cpuNs',
      'ns a claim',
      'lower',
      runs.map(({ cpuNs }) => cpuNs),
    ),
    one(
      'node.maxRateP50Ms',
      'ms',
      'lower',
      runs.map(({ p50Ms }) => p50Ms),
    ),
    one(
      'node.maxRateP99Ms',
      'ms',
      'lower',
      runs.map(({ p99Ms }) => p99Ms),
    ),
    one(
      'node.claimsAGroup',
      'claims',
      'neither',
      runs.map(({ claimsAGroup }) => claimsAGroup),
    ),
    one(
      'node.diskBytes',
      'bytes a claim',
      'lower',
      runs.map(({ diskBytes }) => diskBytes),
    ),
    one(
      'node.inBytes',
      'bytes a claim',
      'neither',
      runs.map(({ inBytes }) => inBytes),
    ),
    ...(node.residentMiB > 0 ? [one('node.residentMiB', 'MiB', 'lower', [node.residentMiB])] : []),
  ];
  const verify = values.get('verify.perSecond');
  if (verify === undefined || verify.length === 0) return figures;
  const floor = median(verify);
  const share = runs.map(({ perSecond }) => perSecond / (cores * floor));
  const work = runs.map(({ cpuNs }) => 1e9 / cpuNs / floor);
  return [
    ...figures,
    one('path.shareOfVerify', 'ratio', 'higher', share, 'verify.perSecond on every core'),
    one('path.cpuShareOfVerify', 'ratio', 'higher', work, 'verify.perSecond of the same processor time'),
  ];
}
