/**
 * A node whose channels and claims are in PostgreSQL: one primary and a synchronous standby, all on loopback. What was
 * acknowledged is there after a kill; who was taken over stops and says why; without an answer the node is not ready.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import { statusName } from '../../protocol/layout.ts';
import { NodeProcess, openChannels, temporaryFolders } from '../support/node-process.ts';
import { hasPostgres } from '../support/postgres/programs.ts';
import { PostgresServers } from '../support/postgres/servers.ts';
import { openingJson, openingOf, signedClaim, WirePeer } from '../support/wire.ts';

const folder = temporaryFolders();
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
const lines: string[] = [];
const log = (line: string) => void lines.push(line);
const logger = { info: log, warn: log, error: log };

async function answer(peer: WirePeer, claim: Uint8Array): Promise<[string, bigint]> {
  const { status, amount } = await peer.ask(claim);
  return [statusName(status), amount];
}
async function until(is: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 20_000; !(await is()); await sleep(10))
    if (Date.now() > end) throw new Error(`expected ${what} within 20 s`);
}

describe.skipIf(!hasPostgres())('a node with --store postgres', () => {
  let servers: PostgresServers;
  beforeAll(async () => {
    // Processes are killed here, and no machine: what they wrote is in the system's memory still.
    servers = await PostgresServers.start({ standbys: ['s1'], fsync: false });
  });
  afterAll(() => servers?.close());
  afterEach(async () => {
    servers.server('s1').resume();
    await servers.primary.query(`delete from channels; delete from claim_groups; delete from side_entries; delete from members;
      update shards set node = null, epoch = 0, source = null; delete from nodes; update shard_map set version = 0`);
  });

  async function start(data: string, options: NodeOptions & { drainMsMax?: number } = {}) {
    const node = await ClaimwireNode.start({
      data,
      udp: { host: '127.0.0.1', port: 0 },
      store: servers.url,
      channelsMax: 256,
      lanes: 1,
      logger,
      ...options,
    });
    ends.push(() => node.stop());
    const peer = await WirePeer.to(node.udp);
    ends.push(() => peer.close());
    return { node, peer };
  }

  test.each([
    ['lanes', { layout: 'lanes', lanes: 1 }],
    ['pipeline', { layout: 'pipeline', verifiers: 1, lanes: undefined }],
  ] as const)('keeps channels, claims and charges over a stop (%s)', async (_, threads) => {
    const data = folder('store');
    const { node, peer } = await start(data, threads as NodeOptions);
    await node.openChannels([openingOf(1n), openingOf(2n)]);
    expect(await answer(peer, signedClaim(1n, 5n))).toEqual(['COMMITTED', 5n]);
    expect(await answer(peer, signedClaim(1n, 9n))).toEqual(['COMMITTED', 9n]);
    expect(await answer(peer, signedClaim(1n, 7n))).toEqual(['ALREADY', 7n]);
    expect(await answer(peer, signedClaim(3n, 7n))).toEqual(['UNKNOWN_CHANNEL', 0n]);
    await node.charge(1n, 4n, { key: 'one' });
    await node.closeChannel(2n);
    expect(await answer(peer, signedClaim(2n, 1n))).toEqual(['CHANNEL_CLOSED', 1n]);
    const stats = node.stats();
    expect([stats.store, stats.counters.groupCommits, stats.counters.syncs]).toEqual(['postgres', 2, 2]);
    expect(node.ready).toBe(true);
    await node.stop();
    expect(readdirSync(data).sort()).toEqual(['admin-token', 'hot-keys', 'node-name']);
    expect(await servers.primary.query('select count(*)::int as count from claim_groups')).toEqual([{ count: 0 }]);
    const again = await start(data, threads as NodeOptions);
    expect(again.node.channel(1n)).toMatchObject({ committed: 9n, state: 'open' });
    expect(again.node.channel(2n)).toMatchObject({ state: 'closed' });
    expect(again.node.spent(1n)).toBe(4n);
    expect(await answer(again.peer, signedClaim(1n, 9n))).toEqual(['ALREADY', 9n]);
  });

  test('has after kill -9 what it has acknowledged; taken over, it exits with 1 and says why', async () => {
    const data = folder('kill');
    const flags = ['--store', servers.url, '--node-name', 'one', '--log-format', 'json'];
    const first = new NodeProcess(data, flags);
    ends.push(() => first.kill('SIGKILL'));
    const begun = await first.ready;
    await openChannels(begun, data, [openingJson(1n)]);
    const peer = await WirePeer.to(begun.udp);
    ends.push(() => peer.close());
    for (let amount = 1n; amount <= 20n; amount++)
      expect(await answer(peer, signedClaim(1n, amount))).toEqual(['COMMITTED', amount]);
    first.kill('SIGKILL');
    await first.exit;
    const second = new NodeProcess(data, flags);
    ends.push(() => second.kill('SIGKILL'));
    const ready = await second.ready;
    expect(second.stderr).toContain('replayed 20 claims of 20 groups of one');
    const next = await WirePeer.to(ready.udp);
    ends.push(() => next.close());
    expect(await answer(next, signedClaim(1n, 20n))).toEqual(['ALREADY', 20n]);
    // Whoever takes over changes the epoch first.
    await servers.primary.query("update nodes set epoch = epoch + 1 where node = 'one'");
    await next.send(signedClaim(1n, 21n));
    expect((await second.exit).code).toBe(1);
    expect(second.stderr).toMatch(/expected epoch 2 .*another node took one's shards/);
    expect(await servers.primary.query('select count(*)::int as count from claim_groups where epoch > 1')).toEqual([
      { count: 0 },
    ]);
  });

  test('is not ready while the database does not answer, acknowledges nothing, and goes on when it does', async () => {
    const { node, peer } = await start(folder('silent'));
    await node.openChannels([openingOf(1n)]);
    expect(await answer(peer, signedClaim(1n, 1n))).toEqual(['COMMITTED', 1n]);
    servers.primary.pause();
    await peer.send(signedClaim(1n, 2n));
    await until(() => !node.ready, 'not to be ready');
    expect(node.channel(1n)).toMatchObject({ committed: 1n });
    servers.primary.resume();
    expect((await peer.ack((ack) => ack.amount === 2n)).status).toBe(0);
    await until(() => node.ready, 'to be ready');
    // The watch or the lane sees it first; either says what it is.
    await servers.primary.query('update nodes set epoch = epoch + 1');
    await peer.send(signedClaim(1n, 3n));
    await expect(node.failed).rejects.toMatchObject({ code: 'STORE_FENCED' });
    expect([node.ready, node.failure?.message.includes('took')]).toEqual([false, true]);
  });

  test.each([
    ['alone', false],
    ['in a cluster', true],
  ])('stops within its bound though the database hangs (%s)', async (_, cluster) => {
    const data = folder(`hangs-${cluster}`);
    const { node, peer } = await start(data, { drainMsMax: 300, cluster });
    await node.openChannels([openingOf(1n)]);
    expect(await answer(peer, signedClaim(1n, 1n))).toEqual(['COMMITTED', 1n]);
    servers.primary.pause();
    await peer.send(signedClaim(1n, 2n));
    await sleep(50);
    const begun = performance.now();
    await node.stop();
    expect(performance.now() - begun).toBeLessThan(6_000);
    expect(lines.join('\n')).toContain('stopped without a checkpoint');
    servers.primary.resume();
    const again = await start(data, { cluster });
    expect(again.node.channel(1n)!.committed).toBeGreaterThanOrEqual(1n);
  });

  test.each([
    ['lanes', { layout: 'lanes', lanes: 1 }],
    ['pipeline', { layout: 'pipeline', verifiers: 1, lanes: undefined }],
  ] as const)('goes on after its connections were cut while nobody paid (%s)', async (_, threads) => {
    const { node, peer } = await start(folder('cut'), threads as NodeOptions);
    await node.openChannels([openingOf(1n)]);
    for (let cut = 0n; cut < 3n; cut++) {
      await servers.primary.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'claimwire-%'",
      );
      await sleep(100);
      expect(await answer(peer, signedClaim(1n, cut + 1n))).toEqual(['COMMITTED', cut + 1n]);
    }
    expect(node.failure).toBeUndefined();
  });

  test('takes no other name, no folder with channels, and no server without a standby', async () => {
    const data = folder('refused');
    await (await start(data, { nodeName: 'a' })).node.stop();
    const code = (options: NodeOptions) =>
      start(data, options).then(
        () => 'started',
        (error) => error.code,
      );
    expect(await code({ nodeName: 'b' })).toBe('CONFIG_INVALID');
    expect(await code({ store: undefined })).toBe('CONFIG_INVALID');
    await servers.setSynchronous('');
    expect(await code({})).toBe('STORE_UNREPLICATED');
    expect((await start(data, { storeUnreplicated: true })).node.ready).toBe(true);
    await servers.setSynchronous('ANY 1 (s1)');
    const closed = servers.urlOf('127.0.0.1:1');
    expect(await code({ data: join(data, 'other'), store: closed, storeWaitSeconds: 0 } as never)).toBe(
      'STORE_UNREACHABLE',
    );
  });
});
