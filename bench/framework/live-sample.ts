/**
 * A sample of a running node from two looks at its counters, for the report's bottleneck: without percentiles, which the
 * rules do not need where the mean of the syncs is known. Main thread.
 */
import { totalmem } from 'node:os';
import type { Percentiles, Sample } from '../../src/metrics/sample.ts';
import { counted, type Look } from './loaded-node.ts';

const NONE: Percentiles = { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };

export function sampleBetween(before: Look, after: Look): Sample {
  const seconds = (after.atMs - before.atMs) / 1_000;
  const rate = (name: string) => (counted(after.stats, name) - counted(before.stats, name)) / seconds;
  const rates = (group: string) => {
    const reasons = Object.keys((after.stats.counters[group] ?? {}) as Record<string, number>);
    return Object.fromEntries(
      reasons.map((reason) => [reason, rate(`${group}.${reason}`)]).filter(([, each]) => Number(each) > 0),
    );
  };
  const [refused, dropped] = [rates('refused'), rates('dropped')];
  const sum = (all: Record<string, number>) => Object.values(all).reduce((total, each) => total + each, 0);
  const busy = (stage: string) => rate(`busyUs.${stage}`) / 1e6;
  const { ring, channels, uptimeSeconds } = after.stats;
  const groups = rate('groupCommits');
  return {
    at: Date.now(),
    seconds,
    uptimeSeconds,
    ready: true,
    rates: {
      datagrams: rate('datagrams'),
      received: rate('received'),
      committed: rate('committed'),
      already: rate('already'),
      acked: rate('acked'),
      refused: sum(refused),
      dropped: sum(dropped),
      groups,
      syncs: rate('syncs'),
      journalBytes: rate('journalBytes'),
      charges: 0,
      linkGaps: rate('linkGaps'),
    },
    refused,
    dropped,
    ack: NONE,
    stages: { queue: NONE, receive: NONE, verify: NONE, commit: NONE, sync: NONE, ack: NONE },
    sync: NONE,
    groupClaims: groups > 0 ? rate('committed') / groups : 0,
    busy: {
      receive: busy('receive'),
      verify: busy('verify'),
      commit: busy('commit'),
      write: busy('write'),
      send: busy('send'),
    },
    ring,
    lanes: [],
    channels: { open: channels, max: channels },
    exposureDrops: '0',
    keyTables: null,
    connections: { tcp: 0, websocket: 0, webrtc: 0 },
    memory: { resident: 0, limit: totalmem() },
    ledger: null,
    bottleneck: null,
  };
}
