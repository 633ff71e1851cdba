/**
 * `claimwire stats`: what a node is and what it does now, as a table: GET /stats and the newest sample of GET /feed.
 *
 * Main thread of its own process.
 */
import { STAGES } from '../src/control/measure-control.ts';
import type { NodeStats } from '../src/control/node-control.ts';
import { AdminClient } from '../src/http/client.ts';
import type { Sample } from '../src/metrics/sample.ts';
import { defineCommand } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { say, writeJson } from './output.ts';
import { bytesText, dropsText, percentileCells, percentileHeads, rateText, reasonsText } from './top/figures.ts';
import { follow } from './top/samples.ts';
import { durationText } from './units.ts';

export const command = defineCommand({
  name: 'stats',
  summary: 'prints counters, rates and latency of a node',
  options: NODE_OPTIONS,
  examples: [
    ['claimwire stats', 'a table: counters since the start, rates and latency of the last second'],
    ['claimwire stats --json | jq .sample.ack.p99', 'one figure of it'],
  ],
  notes: `With --json {stats, sample}: what GET /stats answers, and the newest sample of GET /feed (protocol/openapi.json).

Exit code: 0 fine, 1 no node there, 2 usage.`,
  act: async (values) => {
    const address = adminAddress(values);
    const admin = AdminClient.open(address);
    const [stats, sample] = await Promise.all([admin.stats(), newestSample(admin)]);
    if (values.json) writeJson({ stats, sample: sample ?? null });
    else say(statsText(address.http, stats, sample));
    return 0;
  },
});
export const { run } = command;

/** The node makes one a second, so this takes at most about that; undefined where it stops meanwhile. */
async function newestSample(admin: AdminClient): Promise<Sample | undefined> {
  const ended = new AbortController();
  try {
    for await (const look of follow(admin, { history: 0, signal: ended.signal }))
      return 'sample' in look ? look.sample : undefined;
    return undefined;
  } finally {
    ended.abort();
  }
}

const LABEL_COLUMNS = 13;

function statsText(http: string, stats: NodeStats, sample: Sample | undefined): string {
  const { backend, kernel, layout, verifiers, sockets, path, durability, store, verify, uptimeSeconds } = stats;
  const of = kernel === null ? '' : ` (${kernel})`;
  const lines: [label: string, text: string][] = [
    ['node', `${http}, up ${durationText(uptimeSeconds * 1_000)}${sample?.ready === false ? ', NOT READY' : ''}`],
    ['runs', `${layout}, ${verifiers} verifying, backend ${backend}${of}, ${sockets} sockets, ${path} path`],
    ['promises', `${promiseText(store, durability)} before acknowledged; verifies ${verify}`],
    ...(sample === undefined ? [] : sampleRows(sample)),
    ...counterRows(stats),
  ];
  return lines.map(([label, text]) => `${label.padEnd(LABEL_COLUMNS)}${text}\n`).join('');
}

function promiseText(store: string, durability: string): string {
  if (store !== 'embedded') return `stored in ${store}`;
  return durability === 'sync' ? 'synced' : 'written, NOT synced,';
}

function sampleRows(sample: Sample): [string, string][] {
  const { rates, refused, dropped, ack, stages, sync, groupClaims, ring, channels, exposureDrops, memory } = sample;
  const { bottleneck } = sample;
  return [
    [
      'rates',
      `received ${rateText(rates.received)}, committed ${rateText(rates.committed)}, acks ${rateText(rates.acked)}, repeated ${rateText(rates.already)}`,
    ],
    [
      'groups',
      `${rateText(rates.groups)} of ${groupClaims.toFixed(1)} claims, journal ${bytesText(rates.journalBytes)}/s`,
    ],
    ['refused', reasonsText(refused)],
    ['dropped', reasonsText(dropped)],
    ['', percentileHeads()],
    ['ack', percentileCells(ack)],
    ...STAGES.filter((name) => stages[name] !== undefined).map((name): [string, string] => [
      `  ${name}`,
      percentileCells(stages[name]),
    ]),
    ['fdatasync', percentileCells(sync)],
    ['ring', `${ring.depth} of ${ring.slots}`],
    ['channels', `${channels.open} of ${channels.max}, exposure ${dropsText(exposureDrops)}`],
    ['memory', `${bytesText(memory.resident)} of ${bytesText(memory.limit)}`],
    ...(bottleneck ? [['limit', `${bottleneck.text} ${bottleneck.change}`] satisfies [string, string]] : []),
  ];
}

/** Counters since the start, those above 0. */
function counterRows({ counters }: NodeStats): [string, string][] {
  const some = Object.entries(counters).flatMap(([name, value]) =>
    typeof value === 'number'
      ? [[name, value] as const]
      : Object.entries(value).map(([reason, count]) => [`${name}.${reason}`, count] as const),
  );
  const shown = some.filter(([name, value]) => value > 0 && !name.startsWith('busyUs'));
  return shown.map(([name, value], index) => [index === 0 ? 'since start' : '', `${name.padEnd(28)} ${value}`]);
}
