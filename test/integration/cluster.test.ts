/** Two nodes of a cluster in this process, over a PostgreSQL: shards move between them under claims. Runs the compiled code. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ClaimwireNode } from '../../dist/src/index.js';
import { SHARDS, shardOfChannel } from '../../protocol/shard.ts';
import { hasPostgres } from '../support/postgres/programs.ts';
import { PostgresServers } from '../support/postgres/servers.ts';
import { openingOf, signedClaim } from '../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-cluster-'));
const QUIET = { info: () => {}, warn: () => {}, error: () => {} };
const WAIT_MS_MAX = 15_000;
const LOCAL = { host: '127.0.0.1', port: 0 };
const CHANNELS = [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n];

describe.skipIf(!hasPostgres())('a cluster', () => {
  let servers: PostgresServers;
  const nodes: ClaimwireNode[] = [];

  beforeAll(async () => {
    servers = await PostgresServers.start({ fsync: false });
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await servers?.close();
    rmSync(ROOT, { recursive: true, force: true });
  });

  async function start(nodeName: string): Promise<ClaimwireNode> {
    const node = await ClaimwireNode.start({
      data: join(ROOT, nodeName),
      nodeName,
      store: servers.url,
      storeUnreplicated: true,
      cluster: true,
      udp: LOCAL,
      lanes: 1,
      channelsMax: 4_096,
      logger: QUIET,
    });
    nodes.push(node);
    return node;
  }

  test('a second node gets half of the shards, and all of them when the first one stops; nothing is lost', async () => {
    const first = await start('a');
    await first.openChannels(CHANNELS.map((id) => openingOf(id)));
    for (const id of CHANNELS) expect((await first.submit(signedClaim(id, 100n))).status).toBe('COMMITTED');
    const second = await start('b');
    await until(
      () => first.cluster!.figures.shardsServed === SHARDS / 2 && second.cluster!.figures.shardsServed === SHARDS / 2,
    );

    const moved = CHANNELS.filter((id) => first.channel(id) === undefined);
    expect(moved.length).toBeGreaterThan(0);
    expect(moved.length).toBeLessThan(CHANNELS.length);
    for (const id of CHANNELS) {
      const [holder, other] = moved.includes(id) ? [second, first] : [first, second];
      expect(holder.channel(id)?.committed).toBe(100n);
      expect((await other.submit(signedClaim(id, 200n))).status).toBe('MOVED');
      expect((await holder.submit(signedClaim(id, 200n))).status).toBe('COMMITTED');
    }
    await expect(first.closeChannel(moved[0]!)).rejects.toMatchObject({ code: 'MOVED' });

    // Charged at its holder, with a key and without; nowhere else.
    const charged = moved[0]!;
    expect(await second.charge(charged, 150n, { key: 'k', wait: false })).toMatchObject({ spent: 150n });
    expect(await second.charge(charged, 20n, { wait: false })).toMatchObject({ spent: 170n });
    await expect(first.charge(charged, 1n)).rejects.toMatchObject({ code: 'MOVED' });
    const waiting = second.charge(charged, 100n).catch((error: unknown) => error);

    // To and fro: the rows are found again.
    const shard = shardOfChannel(moved[0]!);
    second.cluster!.move([shard], 'a');
    await until(() => first.channel(moved[0]!)?.committed === 200n && first.cluster!.figures.shardsServed === 513);
    // What was spent came along, and so did the key; who waited at the giver is told so.
    expect(await waiting).toMatchObject({ code: 'MOVED' });
    expect(await first.charge(charged, 150n, { key: 'k', wait: false })).toMatchObject({ spent: 170n, repeated: true });
    await expect(first.charge(charged, 31n, { wait: false })).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
    expect((await first.submit(signedClaim(moved[0]!, 300n))).status).toBe('COMMITTED');
    expect(await first.charge(charged, 60n, { key: 'l', wait: false })).toMatchObject({ spent: 230n });

    // What has not been written to the channels goes with the shards.
    await first.stop();
    await until(() => second.cluster!.figures.shardsServed === SHARDS);
    for (const id of CHANNELS) expect(second.channel(id)?.committed).toBe(id === moved[0] ? 300n : 200n);
    for (const id of CHANNELS) expect((await second.submit(signedClaim(id, 400n))).status).toBe('COMMITTED');
    // It learns of the first one's last beat at its next look.
    await vi.waitFor(() => expect(second.cluster!.figures.members).toBe(1), 5_000);
    expect(second.spent(charged)).toBe(230n);
    for (const [key, drops] of [
      ['k', 150n],
      ['l', 60n],
    ] as const)
      expect(await second.charge(charged, drops, { key })).toMatchObject({ spent: 230n, repeated: true });
    await expect(second.charge(charged, 171n, { wait: false })).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
  });
});

async function until(holds: () => boolean): Promise<void> {
  for (const since = Date.now(); Date.now() < since + WAIT_MS_MAX; await sleep(20)) if (holds()) return;
  throw new Error('expected the cluster to come to that, got another state');
}
