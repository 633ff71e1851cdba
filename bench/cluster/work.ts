/**
 * What a claim costs where one node has all channels, and where three share them: the same claims a second, at nodes of the same
 * PostgreSQL, in turns. Main thread of the bench; each load, each node and each server is a process of its own.
 *
 * Both sets of nodes are there all the time, each with a database of its own, and the one that has its turn gets the load. The rate
 * is one that two cores carry with room to spare, so that work is measured and not the want of cores. Processor time is that of
 * whole seconds of the load; groups, and the claims of each node, are those of the whole load.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SHARDS } from '../../protocol/shard.ts';
import { assert } from '../../src/errors.ts';
import type { LoadResult } from '../../src/load/result.ts';
import type { BenchContext, Figures } from '../harness.ts';
import { endsWithBench, processorSeconds } from '../node-under-test.ts';
import { difference, SECOND } from '../path/load.ts';
import { ClusterNode } from './nodes.ts';
import { ServerCost } from './server-cost.ts';
import { middle } from './single.ts';

export interface WorkPlan {
  turns: number;
  seconds: number;
  warmup: number;
}

const CLI = fileURLToPath(new URL('../../tools/cli.js', import.meta.url));
/** Claims a second, of all nodes together. */
const RATE = 60_000;
const CHANNELS = 3_000;
const SHARE_MS_MAX = 30_000;
const NAMES = { one: ['alone'], three: ['a', 'b', 'c'] } as const;
const SETS = ['one', 'three'] as const;
type Set = (typeof SETS)[number];

/** Per claim, of all nodes together; and the largest node's claims over the mean's. */
interface Work {
  nodeNs: number;
  serverNs: number;
  appends: number;
  share: number;
}

export async function measureWork(
  folder: string,
  urls: Readonly<Record<Set, string>>,
  { turns, seconds, warmup }: WorkPlan,
  { note, repeat }: BenchContext,
): Promise<Figures> {
  const nodes = { one: [] as ClusterNode[], three: [] as ClusterNode[] };
  for (const set of SETS)
    for (const name of NAMES[set]) nodes[set].push(await ClusterNode.start(name, join(folder, set), urls[set]));
  for (const set of SETS) await shared(nodes[set]);
  const taken: Record<Set, Work[]> = { one: [], three: [] };
  // Keys and code are cold in the first run of each.
  for (const set of SETS) await load(nodes[set], 0.3, 0);
  for (let turn = 0; turn < turns; turn++) {
    const isSwapped = (turn + repeat) % 2 === 1;
    for (const set of isSwapped ? SETS.toReversed() : SETS) {
      const { work, result } = await load(nodes[set], seconds, warmup);
      taken[set].push(work);
      const { latency, unanswered } = result.steps[0]!;
      const { p50Ms, p99Ms } = latency;
      note(
        `${set === 'one' ? 'one node' : 'three nodes'} at ${RATE}/s: nodes ${Math.round(work.nodeNs)} ns and servers ${Math.round(work.serverNs)} ns a claim, ${work.appends.toFixed(4)} appends a claim, largest share ${work.share.toFixed(3)} of the mean; p50 ${p50Ms} ms, p99 ${p99Ms} ms, ${unanswered} unanswered; all ${result.reconciliation!.acknowledgedDrops} drops acknowledged are committed`,
      );
    }
  }
  for (const set of SETS)
    for (const node of nodes[set]) assert((await node.end('SIGTERM')) === 0, 'a node stops with code 0');
  const middleOf = (set: Set, pick: (work: Work) => number) => middle(taken[set].map(pick));
  return {
    'cluster.nodeNsOne': middleOf('one', ({ nodeNs }) => nodeNs),
    'cluster.nodeNsThree': middleOf('three', ({ nodeNs }) => nodeNs),
    'cluster.serverNsOne': middleOf('one', ({ serverNs }) => serverNs),
    'cluster.serverNsThree': middleOf('three', ({ serverNs }) => serverNs),
    'cluster.appendsOne': middleOf('one', ({ appends }) => appends),
    'cluster.appendsThree': middleOf('three', ({ appends }) => appends),
    'cluster.shareMax': middleOf('three', ({ share }) => share),
  };
}

/** Resolves once the nodes have an even part of the shards each. */
async function shared(nodes: readonly ClusterNode[]): Promise<void> {
  const least = Math.floor(SHARDS / nodes.length) - 1;
  for (const since = performance.now(); performance.now() < since + SHARE_MS_MAX; await sleep(50)) {
    const figures = await Promise.all(nodes.map((node) => node.figures()));
    const served = figures.map(({ shardsServed }) => shardsServed);
    if (Math.min(...served) >= least && served.reduce((sum, count) => sum + count, 0) === SHARDS) return;
  }
  throw new Error(`expected ${nodes.length} nodes to share the shards within ${SHARE_MS_MAX} ms`);
}

/** Runs the load over the nodes. Throws where an acknowledged amount is missing. */
async function load(
  nodes: readonly ClusterNode[],
  seconds: number,
  warmup: number,
): Promise<{ work: Work; result: LoadResult }> {
  const stats = () => Promise.all(nodes.map(({ admin }) => admin.stats()));
  const before = await stats();
  const cost = ServerCost.begin();
  const samples: { node: number; server: number }[] = [];
  const sample = () =>
    samples.push({ node: nodes.reduce((sum, { pid }) => sum + processorSeconds(pid), 0), server: cost.seconds() });
  const result = await runLoad(nodes, seconds, warmup, sample);
  const after = await stats();
  const [step] = result.steps;
  const { short } = result.reconciliation ?? { short: Number.NaN };
  assert(step !== undefined && step.acked > 0 && short === 0, `nothing is missing: ${result.verdict.join(' ')}`);
  const works = before.map((stat, index) => difference(stat, after[index]!));
  const claims = works.map(({ verified, superseded }) => verified + superseded);
  const all = claims.reduce((sum, count) => sum + count, 0);
  // Whole seconds: the first line comes at the end of the first.
  const intervals = step.intervals.slice(1, samples.length);
  const measured = intervals.reduce((sum, { ackedPerSecond }) => sum + ackedPerSecond, 0);
  const [first, last] = [samples[0], samples[intervals.length]];
  const each = (pick: (sample: { node: number; server: number }) => number) =>
    first === undefined || last === undefined || measured === 0
      ? Number.NaN
      : ((pick(last) - pick(first)) * 1e9) / measured;
  const work = {
    nodeNs: each(({ node }) => node),
    serverNs: each(({ server }) => server),
    appends: works.reduce((sum, { groups }) => sum + groups, 0) / all,
    share: (Math.max(...claims) * claims.length) / all,
  };
  return { work, result };
}

async function runLoad(
  nodes: readonly ClusterNode[],
  seconds: number,
  warmup: number,
  onSecond: () => void,
): Promise<LoadResult> {
  const list = (pick: (node: ClusterNode) => string) => nodes.map(pick).join(',');
  const where = ['--to', list(({ udp }) => `udp://${udp}`), '--http', list(({ http }) => http)];
  const token = ['--token-file', list(({ tokenFile }) => tokenFile)];
  const how = ['--rate', RATE, '--duration', seconds, '--warmup', warmup, '--channels', CHANNELS, '--slo', '60s'];
  const args = [CLI, 'load', '--json', '--keep-channels', ...where, ...token, ...how.map(String)];
  const child = endsWithBench(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] }));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += String(text);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    stderr += `${line}\n`;
    if (SECOND.test(line)) onSecond();
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const line = stdout.trimEnd().split('\n').at(-1)!;
  if (!line.includes('"steps"'))
    throw new Error(`claimwire load: expected a result, got exit code ${code}, ${line}\n${stderr}`);
  return JSON.parse(line) as LoadResult;
}
