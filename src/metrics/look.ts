/** What is read of a node at one instant, and the sample that two such looks make. Any thread. */
import type { Distribution, LaneMeasures, Stage } from '../control/measure-control.ts';
import { STAGES } from '../control/measure-control.ts';
import type { NodeStats } from '../control/node-control.ts';
import { bottleneckOf } from './bottleneck.ts';
import { clusterLook } from './cluster-look.ts';
import { figuresBetween, type ProcessorLook } from './machine-figures.ts';
import type { LaneSample, Percentiles, Sample } from './sample.ts';
import { meanSince, NO_PERCENTILES, percentilesSince, together } from './seen-since.ts';

const BUSY = ['receive', 'verify', 'commit', 'write', 'send'] as const;

export interface Look {
  /** Milliseconds since 1970, and by the clock that never steps back. */
  readonly wall: number;
  readonly monotonic: number;
  readonly ready: boolean;
  readonly stats: NodeStats;
  readonly lanes: readonly LaneMeasures[];
  /** Committed and not yet redeemed, over all channels. */
  readonly exposureDrops: bigint;
  readonly memory: Sample['memory'];
  readonly ledger: unknown;
  /** Undefined where the machine is not looked at. */
  readonly processors?: ProcessorLook | undefined;
}

type Counters = NodeStats['counters'];

function counter(counters: Counters, name: string): number {
  const value = counters[name];
  return typeof value === 'number' ? value : 0;
}

function group(counters: Counters, name: string): Record<string, number> {
  const value = counters[name];
  return typeof value === 'object' ? value : {};
}

/** To three digits behind the point: more are noise, and bytes of every sample. */
function rounded(value: number): number {
  return Math.round(value * 1e3) / 1e3;
}

function reasons(before: Counters, now: Counters, name: string, seconds: number): Record<string, number> {
  const earlier = group(before, name);
  const rates = Object.entries(group(now, name)).map(
    ([reason, count]) => [reason, rounded((count - (earlier[reason] ?? 0)) / seconds)] as const,
  );
  return Object.fromEntries(rates.filter(([, rate]) => rate > 0));
}

function sum(values: Record<string, number>): number {
  return rounded(Object.values(values).reduce((total, value) => total + value, 0));
}

function overLanes(
  before: Look,
  now: Look,
  pick: (lane: LaneMeasures) => Distribution,
): { before: Distribution | undefined; now: Distribution } | undefined {
  if (now.lanes.length === 0) return undefined;
  return {
    before: before.lanes.length === 0 ? undefined : together(before.lanes.map(pick)),
    now: together(now.lanes.map(pick)),
  };
}

function percentiles(before: Look, now: Look, pick: (lane: LaneMeasures) => Distribution): Percentiles {
  const seen = overLanes(before, now, pick);
  return seen === undefined ? NO_PERCENTILES : percentilesSince(seen.before, seen.now);
}

function laneSamples(before: Look, now: Look): LaneSample[] {
  return now.lanes.map((lane, index) => ({
    ring: { depth: lane.ringDepth, slots: lane.ringSlots },
    ack: percentilesSince(before.lanes[index]?.ack, lane.ack),
  }));
}

/** Of the lanes, where they are measured: a sum that is read at another instant would not be theirs. */
function ringOf({ lanes, stats }: Look): Sample['ring'] {
  if (lanes.length === 0) return stats.ring;
  return {
    depth: lanes.reduce((total, { ringDepth }) => total + ringDepth, 0),
    slots: lanes.reduce((total, { ringSlots }) => total + ringSlots, 0),
  };
}

function connectionsOf(counters: Counters): Sample['connections'] {
  const tcp = group(counters, 'tcp');
  const web = group(counters, 'web');
  const websocket = (web.websocketAccepted ?? 0) - (web.websocketClosed ?? 0);
  return {
    tcp: (tcp.accepted ?? 0) - (tcp.closed ?? 0),
    websocket,
    webrtc: (web.accepted ?? 0) - (web.closed ?? 0) - websocket,
  };
}

/** What happened from one look to the next, and how things stand then. */
export function sampleOf(before: Look, now: Look): Sample {
  const sample = { ...measured(before, now), bottleneck: null };
  if (before.processors === undefined || now.processors === undefined) return sample;
  const machine = figuresBetween(
    { stats: before.stats, processors: before.processors },
    { stats: now.stats, processors: now.processors },
  );
  const { kind, says, change } = bottleneckOf(sample, machine);
  return { ...sample, bottleneck: { cause: kind, text: says, change } };
}

function measured(before: Look, now: Look): Omit<Sample, 'bottleneck'> {
  const seconds = (now.monotonic - before.monotonic) / 1e3;
  const [old, counters] = [before.stats.counters, now.stats.counters];
  const rate = (name: string) => rounded((counter(counters, name) - counter(old, name)) / seconds);
  const refused = reasons(old, counters, 'refused', seconds);
  const dropped = reasons(old, counters, 'dropped', seconds);
  const [busyOld, busyNow] = [group(old, 'busyUs'), group(counters, 'busyUs')];
  const groups = overLanes(before, now, (lane) => lane.group);
  const { stats } = now;
  return {
    at: now.wall,
    seconds: rounded(seconds),
    uptimeSeconds: stats.uptimeSeconds,
    ready: now.ready,
    rates: {
      datagrams: rate('datagrams'),
      received: rate('received'),
      committed: rate('committed'),
      already: rate('already'),
      acked: rate('acked'),
      refused: sum(refused),
      dropped: sum(dropped),
      groups: rate('groupCommits'),
      syncs: rate('syncs'),
      journalBytes: rate('journalBytes'),
      charges: rate('charges'),
      linkGaps: rate('linkGaps'),
    },
    refused,
    dropped,
    ack: percentiles(before, now, (lane) => lane.ack),
    stages: Object.fromEntries(
      STAGES.map((stage) => [stage, percentiles(before, now, (lane) => lane.stages[stage])]),
    ) as Record<Stage, Percentiles>,
    sync: percentiles(before, now, (lane) => lane.sync),
    groupClaims: groups === undefined ? 0 : rounded(meanSince(groups.before, groups.now)),
    busy: Object.fromEntries(
      BUSY.map((stage) => [stage, rounded(((busyNow[stage] ?? 0) - (busyOld[stage] ?? 0)) / 1e6 / seconds)]),
    ) as Sample['busy'],
    ring: ringOf(now),
    lanes: laneSamples(before, now),
    channels: { open: stats.channels, max: stats.channelsMax },
    exposureDrops: String(now.exposureDrops),
    keyTables: stats.keyTables === null ? null : { ...stats.keyTables },
    connections: connectionsOf(counters),
    memory: now.memory,
    ledger: now.ledger,
    ...clusterLook(stats),
  };
}
