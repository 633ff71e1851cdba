/**
 * The rate of a node whose store is its data folder and of one whose store is PostgreSQL with a synchronous standby, in turns:
 * both are there all the time, and the one that has its turn gets the load. Main thread of the bench; each load, each node and
 * each server is a process of its own, on the same disk.
 *
 * All that is acknowledged was verified and is reconciled with what the node has (path/load.ts), or the bench fails.
 */
import type { BenchContext, Figures } from '../harness.ts';
import type { NodeUnderTest } from '../node-under-test.ts';
import { type ProvenLoad, provenLoad } from '../path/load.ts';
import { ServerCost } from './server-cost.ts';
import { middle } from './single.ts';

export interface RatePlan {
  turns: number;
  seconds: number;
  warmup: number;
}

const STORES = ['embedded', 'postgres'] as const;
type Turn = Record<(typeof STORES)[number], ProvenLoad>;

export async function measureRates(
  nodes: Record<(typeof STORES)[number], NodeUnderTest>,
  { turns, seconds, warmup }: RatePlan,
  { note, repeat }: BenchContext,
): Promise<Figures> {
  const drops = { embedded: 0, postgres: 0 };
  const serverNs: number[] = [];
  const taken: Turn[] = [];
  const load = async (store: (typeof STORES)[number], duration: number): Promise<ProvenLoad> => {
    const flags = ['--rate', 'max', '--duration', String(duration), '--warmup', String(warmup)];
    const cost = ServerCost.begin();
    const proven = await provenLoad(nodes[store], flags, drops[store]);
    const claims = proven.committedDrops - drops[store];
    if (store === 'postgres') serverNs.push((cost.seconds() * 1e9) / claims);
    drops[store] = proven.committedDrops;
    const { work, perSecond, result, step } = proven;
    note(
      `${store}: ${Math.round(perSecond)}/s, p50 ${step.latency.p50Ms} ms; ${proven.committedDrops} drops committed, all ${result.reconciliation!.acknowledgedDrops} acknowledged there; ${work.verified} verified, ${work.superseded} superseded, ${work.groups} groups, ${work.socketDrops} datagrams dropped by the system`,
    );
    return proven;
  };
  // Keys and code are cold in the first run of each.
  for (const store of STORES) await load(store, 0.3);
  serverNs.length = 0;
  for (let turn = 0; turn < turns; turn++) {
    const isSwapped = (turn + repeat) % 2 === 1;
    const both: Partial<Turn> = {};
    for (const store of isSwapped ? STORES.toReversed() : STORES) both[store] = await load(store, seconds);
    taken.push(both as Turn);
  }
  const middleOf = (value: (turn: Turn) => number) => middle(taken.map(value));
  return {
    'cluster.postgresVsEmbedded': middleOf(({ postgres, embedded }) => postgres.perSecond / embedded.perSecond),
    'cluster.embeddedPerSecond': middleOf(({ embedded }) => embedded.perSecond),
    'cluster.postgresPerSecond': middleOf(({ postgres }) => postgres.perSecond),
    'cluster.embeddedGroupClaims': middleOf(({ embedded: { work } }) => work.committed / work.groups),
    'cluster.postgresGroupClaims': middleOf(({ postgres: { work } }) => work.committed / work.groups),
    'cluster.embeddedNodeNs': middleOf(({ embedded }) => embedded.nodeNs),
    'cluster.postgresNodeNs': middleOf(({ postgres }) => postgres.nodeNs),
    'cluster.postgresServerNs': middle(serverNs),
  };
}
