/**
 * What is killed under claims where they are kept in PostgreSQL: the node in the middle of an append, the node in the middle of a
 * checkpoint, the primary. What was acknowledged is there afterwards, and nothing is there that nobody signed. The suites that each
 * store has are in on-postgres.test.ts. Runs the compiled code.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import { ChannelStore } from '../../dist/src/registry/channel-store.js';
import { PostgresDatabase } from '../../dist/src/store/postgres/database.js';
import { STATUS } from '../../protocol/layout.ts';
import type { ChannelJson } from '../../src/channel/parse.ts';
import { SEGMENT_GROUPS } from '../../src/store/database-log.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { getJson, NodeProcess, openChannels, type ReadyLine, temporaryFolders } from '../support/node-process.ts';
import { PayerRun } from '../support/payer-run.ts';
import { hasPostgres } from '../support/postgres/programs.ts';
import { PostgresServers } from '../support/postgres/servers.ts';
import { openingJson, openingOf, signedClaim, WirePeer } from '../support/wire.ts';

const LOCAL = { host: '127.0.0.1', port: 0 };
const QUIET = { info: () => {}, warn: () => {}, error: () => {} };
const folder = temporaryFolders();
const ends: (() => unknown)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const end of ends.splice(0).reverse()) await end();
});

const UNTIL_MS_MAX = 30_000;
const PAYERS = brieflyOrAtLength(2, 3);
const FAILOVERS = brieflyOrAtLength(1, 5);

describe.skipIf(!hasPostgres())('over PostgreSQL', () => {
  let servers: PostgresServers;
  beforeAll(async () => {
    servers = await PostgresServers.start({ standbys: ['s1', 's2'], fsync: false });
  });
  afterAll(() => servers?.close());

  function process(data: string, name: string, flags: readonly string[] = []): NodeProcess {
    const node = new NodeProcess(data, ['--store', servers.url, '--node-name', name, ...flags]);
    ends.push(() => node.kill('SIGKILL'));
    return node;
  }
  async function peerTo(udp: string): Promise<WirePeer> {
    const peer = await WirePeer.to(udp);
    ends.push(() => peer.close());
    return peer;
  }
  /** Shards stay with their holder, so each test has the database from its beginning on. */
  afterEach(async () => {
    for (const name of ['s1', 's2']) servers.server(name).resume();
    await servers.primary.query(`delete from channels; delete from claim_groups; delete from side_entries; delete from members;
      update shards set node = null, epoch = 0, source = null; delete from nodes; update shard_map set version = 0`);
  });

  test('a node killed while its append waits for the standbys: that claim was not acknowledged, those before are there', async () => {
    const data = folder('append');
    const first = process(data, 'one');
    const begun = await first.ready;
    await openChannels(begun, data, [openingJson(1n), openingJson(2n)]);
    const peer = await peerTo(begun.udp);
    for (let amount = 1n; amount <= 5n; amount++)
      expect((await peer.ask(signedClaim(1n, amount))).status).toBe(STATUS.COMMITTED);
    servers.server('s1').pause();
    servers.server('s2').pause();
    peer.acks.length = 0;
    await peer.send(signedClaim(2n, 9n));
    await until(async () => (await appendsWaiting(servers)) > 0, 'an append to wait');
    first.kill('SIGKILL');
    await first.exit;
    expect(peer.acks).toEqual([]);
    servers.server('s1').resume();
    servers.server('s2').resume();
    const ready = await process(data, 'one').ready;
    const next = await peerTo(ready.udp);
    const [paid, waited] = await getJson<ChannelJson[]>(ready, '/channels');
    expect(paid!.committed).toBe('5');
    // It was on its way: it may be there or not. Either way the payer's next try is answered, and stands.
    expect(['0', '9']).toContain(waited!.committed);
    const { status } = await next.ask(signedClaim(2n, 9n));
    expect(status).toBe(waited!.committed === '9' ? STATUS.ALREADY : STATUS.COMMITTED);
  });

  test('what is committed after a checkpoint has read the channels is in the groups that it leaves', async () => {
    const options = { udp: LOCAL, channelsMax: 256, lanes: 1, logger: QUIET, store: servers.url, nodeName: 'one' };
    const start = async (more: NodeOptions & { data: string }) => {
      const node = await ClaimwireNode.start({ ...options, ...more });
      ends.push(() => node.stop());
      return node;
    };
    const node = await start({ data: folder('checkpoint'), checkpointSeconds: 1 });
    // Of the first one claim; the others fill groups before the checkpoint, and within it.
    const amounts = new Map([1n, 2n, 3n].map((id) => [id, 0n]));
    await node.openChannels([...amounts.keys()].map((id) => openingOf(id)));
    const pay = async (channel: bigint) => {
      const amount = amounts.get(channel)! + 1n;
      expect((await node.submit(signedClaim(channel, amount))).status).toBe('COMMITTED');
      amounts.set(channel, amount);
    };
    const { checkpoint } = ChannelStore.prototype;
    const { dropGroups } = PostgresDatabase.prototype;
    const isDropped = new Promise<void>((resolve) => {
      vi.spyOn(ChannelStore.prototype, 'checkpoint').mockImplementationOnce(async function (this: ChannelStore) {
        const rows = await checkpoint.call(this);
        // The rows are written. Now a claim that is in the old segment alone, and others until the next one has begun.
        await pay(1n);
        for (let group = 0; group < SEGMENT_GROUPS; group++) await pay(3n);
        vi.spyOn(PostgresDatabase.prototype, 'dropGroups').mockImplementationOnce(async function (
          this: PostgresDatabase,
          ...args
        ) {
          await dropGroups.apply(this, args);
          resolve();
        });
        return rows;
      });
    });
    // Enough for a segment that the checkpoint may release.
    for (let group = 0; group < SEGMENT_GROUPS; group++) await pay(2n);
    await isDropped;
    vi.restoreAllMocks();
    const failed = node.failed.catch((error: { code: string }) => error.code);
    // Who enters under its name sees what a kill at this moment leaves.
    const again = await start({ data: folder('checkpoint-again') });
    for (const [id, amount] of amounts) expect(again.channel(id)!.committed, String(id)).toBe(amount);
    expect(await failed).toBe('STORE_FENCED');
  });

  test(`the primary killed under claims, ${FAILOVERS} times, and the most advanced standby promoted: nothing acknowledged is lost`, {
    timeout: 120_000 * FAILOVERS,
  }, async () => {
    const data = folder('failover');
    const runs = Array.from({ length: PAYERS }, (_, index) => new PayerRun(10, 700 + index));
    const shop = new Shop(data, runs[0]!.channels[0]!.ledgerChannelId);
    for (let round = 0; round < FAILOVERS; round++) {
      const node = process(data, 'one', round % 2 === 0 ? ['--lanes', '2'] : ['--layout', 'pipeline']);
      const ready = await node.ready;
      if (round === 0)
        await openChannels(
          ready,
          data,
          runs.flatMap(({ channels }) => channels),
        );
      await expectKept(ready, runs, `round ${round}, begun`);
      const total = () => [
        ...runs.map(({ acknowledged }) => acknowledged.reduce((sum, amount) => sum + amount, 0n)),
        shop.charged,
      ];
      const grown = (than: bigint[]) => until(() => total().every((sum, index) => sum > than[index]!), 'answers');
      let isOver = false;
      const load = Promise.all([
        ...runs.map((run) => run.run(ready, 100_000, () => isOver)),
        shop.run(ready, () => isOver),
      ]);
      try {
        await grown(total());
        await failOver(servers, () => grown(total()));
        await grown(total());
        await expectKept(ready, runs, `round ${round}, on the new primary`);
      } finally {
        node.kill('SIGKILL');
        isOver = true;
        await load;
      }
      await node.exit;
      if (round + 1 < FAILOVERS) await rejoinAll(servers);
    }
    const ready = await process(data, 'one').ready;
    await expectKept(ready, runs, 'in the end');
    await shop.askAgain(ready);
    expect(shop.faults).toEqual([]);
  });
});

/** A service that charges a drop at a time. It makes each charge again, under its key, until it is answered. */
class Shop {
  charged = 0n;
  readonly faults: string[] = [];
  readonly #data: string;
  readonly #channel: string;

  constructor(data: string, channel: string) {
    this.#data = data;
    this.#channel = channel;
  }

  async run(ready: ReadyLine, isOver: () => boolean): Promise<void> {
    // Where it is not answered the claims do not cover it yet, or the node is being killed.
    while (!isOver()) if (!(await this.#charge(ready))) await sleep(5);
  }

  /** Makes the charge that was not answered, and the one before it for a second time: that one was made. */
  async askAgain(ready: ReadyLine): Promise<void> {
    await this.#charge(ready);
    this.charged--;
    if (!(await this.#charge(ready))) this.faults.push(`charge ${this.charged} is not known any more`);
  }

  async #charge({ http }: ReadyLine): Promise<boolean> {
    const token = readFileSync(join(this.#data, 'admin-token'), 'utf8').trim();
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ channelId: this.#channel, drops: '1', key: `order ${this.charged}` });
    const answer = await fetch(`http://${http}/charge`, { method: 'POST', headers, body }).catch(() => undefined);
    if (answer?.status !== 200) return false;
    this.#take((await answer.json()) as { spent: string; committed: string });
    return true;
  }

  /** Nobody else charges this channel: what is spent is what was charged, each drop once. */
  #take({ spent, committed }: { spent: string; committed: string }): void {
    this.charged++;
    if (BigInt(spent) !== this.charged) this.faults.push(`${this.charged} charged, ${spent} spent`);
    if (BigInt(spent) > BigInt(committed)) this.faults.push(`${spent} spent of ${committed}`);
  }
}

/** Of each channel at least what the payer was told, and at most what it signed. */
async function expectKept(ready: ReadyLine, runs: readonly PayerRun[], where: string): Promise<void> {
  const told = runs.flatMap(({ acknowledged }) => acknowledged);
  const rows = await getJson<ChannelJson[]>(ready, '/channels?limit=1000');
  const kept = new Map(rows.map(({ ledgerChannelId, committed }) => [ledgerChannelId, BigInt(committed)]));
  const claimed = runs.flatMap((run) => run.claimed);
  for (const [index, { ledgerChannelId }] of runs.flatMap(({ channels }) => channels).entries()) {
    expect(kept.get(ledgerChannelId), `${where}: channel ${index}`).toBeGreaterThanOrEqual(told[index]!);
    expect(kept.get(ledgerChannelId), `${where}: channel ${index}`).toBeLessThanOrEqual(claimed[index]!);
  }
}

/**
 * Kills the primary and promotes the standby that has more; the other one follows it.
 * @param meanwhile is done while one of the standbys lags behind
 */
async function failOver(servers: PostgresServers, meanwhile: () => Promise<void>): Promise<void> {
  const dead = servers.primary;
  const standbys = ['primary', 's1', 's2'].filter((name) => name !== dead.name);
  servers.server(standbys[0]!).pause();
  await meanwhile();
  await dead.kill();
  servers.server(standbys[0]!).resume();
  const received = await Promise.all(standbys.map((name) => servers.server(name).receivedBytes()));
  const [best, other] = received[1]! > received[0]! ? [standbys[1]!, standbys[0]!] : [standbys[0]!, standbys[1]!];
  await servers.promote(best, `ANY 1 (${other}, ${dead.name})`);
  servers.server(other).follow(servers.primary);
  servers.server(other).reload();
}

async function rejoinAll(servers: PostgresServers): Promise<void> {
  for (const name of ['primary', 's1', 's2'])
    if (name !== servers.primary.name && !(await isFollowing(servers, name))) await servers.rejoin(name);
}

async function isFollowing({ primary }: PostgresServers, name: string): Promise<boolean> {
  return (await primary.query('select 1 from pg_stat_replication where application_name = $1', [name])).length === 1;
}

async function appendsWaiting({ primary }: PostgresServers): Promise<number> {
  const sql = "select 1 from pg_stat_activity where wait_event = 'SyncRep' and query like 'insert into claim_groups%'";
  return (await primary.query(sql)).length;
}

async function until(is: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + UNTIL_MS_MAX; !(await is()); await sleep(10))
    if (Date.now() > end) throw new Error(`expected ${what} within ${UNTIL_MS_MAX} ms`);
}
