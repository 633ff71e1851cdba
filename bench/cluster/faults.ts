/**
 * How long the channels of a node are not acknowledged when it is killed, when it is stopped, and when their shards are moved
 * while it lives, as their payer sees it. Main thread of the bench; nodes and servers are processes of their own.
 *
 * A node that stays has all shards. In each round another one joins and is given some of them, under claims: a planned move.
 * Then it is killed, and the one that stays takes over. At the end every amount that a payer was acknowledged is in the
 * database, and none that it did not state.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../src/errors.ts';
import type { ClaimDatabase } from '../../src/store/claim-database.ts';
import { openDatabase } from '../../src/store/open-database.ts';
import type { BenchContext, Figures } from '../harness.ts';
import { ClusterNode } from './nodes.ts';
import { type PaidChannel, Payers } from './payers.ts';
import { middle } from './single.ts';

export interface FaultPlan {
  kills: number;
  stops: number;
  /** Shards that the joining node has before it is killed. */
  shards: number;
}

const CHANNELS = 64;
const JOIN_MS_MAX = 30_000;
const HEAL_MS_MAX = 30_000;
/** Longer than any takeover should take: what a stopped node wakes to. */
const IDLE_SECONDS = 3;
const [STAYS, LEAVES] = ['stays', 'leaves'];

interface Round {
  outageMs: number[];
  moveMs: number[];
  /** Of the last batch: how long its giver refused it, and its receiver loaded it. */
  giveMs: number;
  loadMs: number;
  /** Longest claim meanwhile of the middle one of the channels that were not moved. */
  stayedMs: number;
}

export async function measureFaults(
  folder: string,
  url: string,
  query: (sql: string) => Promise<Record<string, unknown>[]>,
  { kills, stops, shards }: FaultPlan,
  { note }: BenchContext,
): Promise<Figures> {
  const stays = await ClusterNode.start(STAYS!, folder, url);
  const idle = await idleCost(query);
  const database = await openDatabase({ url, passwordFile: undefined, mayBeUnreplicated: false, waitMs: 10_000 });
  const payers = await Payers.start(stays, CHANNELS);
  const rounds: Record<'SIGKILL' | 'SIGSTOP', Round[]> = { SIGKILL: [], SIGSTOP: [] };
  for (let number = 0; number < kills + stops; number++) {
    const signal = number < kills ? 'SIGKILL' : 'SIGSTOP';
    const round = await oneRound({ folder, url, database, payers, stays, shards }, signal);
    rounds[signal].push(round);
    note(
      `${signal} ${number + 1}: ${round.outageMs.length} channels moved, silent for ${round.moveMs.map(Math.round).join(', ')} ms, the last batch for ${Math.round(round.giveMs)} ms at its giver and ${Math.round(round.loadMs)} ms at its receiver, others for ${Math.round(round.stayedMs)} ms; acknowledged again ${Math.round(Math.max(...round.outageMs))} ms after it`,
    );
  }
  const acknowledged = await payers.end();
  await database.close();
  assert((await stays.end('SIGTERM')) === 0, 'the node that stays stops with code 0');
  await reconcile(query, acknowledged);
  note(
    `${[...acknowledged.values()].reduce((sum, amount) => sum + amount, 0n)} drops acknowledged over ${CHANNELS} channels, each committed`,
  );
  const worst = (round: Round) => Math.max(...round.outageMs);
  const outages = rounds.SIGKILL.map(worst);
  const moves = Object.values(rounds).flatMap((all) => all.flatMap(({ moveMs }) => moveMs));
  return {
    'cluster.failoverP50Ms': middle(outages),
    'cluster.failoverP99Ms': percentile99(outages),
    'cluster.stopP99Ms': percentile99(rounds.SIGSTOP.map(worst)),
    'cluster.moveP50Ms': middle(moves),
    'cluster.moveP99Ms': percentile99(moves),
    'cluster.moveOthersMs': middle(Object.values(rounds).flatMap((all) => all.map(({ stayedMs }) => stayedMs))),
    ...idle,
  };
}

interface Scene {
  folder: string;
  url: string;
  database: ClaimDatabase;
  payers: Payers;
  stays: ClusterNode;
  shards: number;
}

async function oneRound(scene: Scene, signal: 'SIGKILL' | 'SIGSTOP'): Promise<Round> {
  const { folder, url, database, payers, stays, shards } = scene;
  const joins = await ClusterNode.start(LEAVES!, folder, url);
  // What the start of a process takes of the machine is no part of a move.
  payers.forget();
  await until(async () => (await joins.figures()).shardsServed >= shards, `${shards} shards to move`);
  const moved = await channelsOf(database, payers, LEAVES!);
  assert(moved.length > 0, 'the node that joined has channels');
  const since = performance.now();
  await payers.acknowledged(moved, since, HEAL_MS_MAX);
  const longest = ({ paid }: PaidChannel) => Math.max(...paid.map(({ askedAt, ackedAt }) => ackedAt - askedAt));
  // Their longest claim since the node had started: it was refused, or unanswered, while its shard was between the two.
  const moveMs = moved.map(longest);
  const stayedMs = middle(payers.channels.filter((channel) => !moved.includes(channel)).map(longest));
  const [{ lastGiveMs: giveMs }, { lastLoadMs: loadMs }] = [await stays.figures(), await joins.figures()];
  const lost = await channelsOf(database, payers, LEAVES!);
  const struckAt = performance.now();
  if (signal === 'SIGKILL') await joins.end(signal);
  else joins.signal(signal);
  // A claim that was asked for before may have its ack on the way.
  const again = await payers.acknowledged(lost, performance.now(), HEAL_MS_MAX);
  if (signal === 'SIGSTOP') {
    joins.signal('SIGCONT');
    assert((await joins.end('SIGCONT')) === 1, 'a node that wakes after its takeover ends with code 1');
  }
  await until(async () => (await stays.figures()).members === 1, 'the node that stays to have it all');
  return { outageMs: again.map((at) => at - struckAt), moveMs, giveMs, loadMs, stayedMs };
}

async function channelsOf(database: ClaimDatabase, { channels }: Payers, node: string): Promise<PaidChannel[]> {
  const { shards } = await database.state();
  return channels.filter(({ shard }) => shards[shard]!.node === node);
}

/** What a node that nobody pays asks of the database: beats, and looks at the map. */
async function idleCost(query: (sql: string) => Promise<Record<string, unknown>[]>): Promise<Figures> {
  const look = async () => {
    const [row] = await query(
      "select xact_commit + xact_rollback as count, (pg_current_wal_lsn() - '0/0')::text as wal from pg_stat_database where datname = current_database()",
    );
    return { count: Number(row!.count), wal: Number(row!.wal), at: performance.now() };
  };
  const before = await look();
  await sleep(IDLE_SECONDS * 1_000);
  const after = await look();
  const seconds = (after.at - before.at) / 1_000;
  return {
    'cluster.idleStatementsPerSecond': (after.count - before.count) / seconds,
    'cluster.idleLogBytesPerSecond': (after.wal - before.wal) / seconds,
  };
}

/** The node has stopped, so that `channels` has every claim. */
async function reconcile(
  query: (sql: string) => Promise<Record<string, unknown>[]>,
  acknowledged: ReadonlyMap<bigint, bigint>,
): Promise<void> {
  const rows = await query('select channel_id::text as id, committed::text as committed from channels');
  const committed = new Map(rows.map(({ id, committed }) => [BigInt(id as string), BigInt(committed as string)]));
  for (const [channel, amount] of acknowledged)
    assert(
      committed.get(channel) === amount,
      `channel ${channel}: ${amount} drops were acknowledged, ${committed.get(channel)} are committed`,
    );
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (const since = performance.now(); performance.now() < since + JOIN_MS_MAX; await sleep(20))
    if (await holds()) return;
  throw new Error(`expected ${what} within ${JOIN_MS_MAX} ms`);
}

/** The value that 99 of 100 do not exceed: of 50 the highest. */
function percentile99(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN;
}
