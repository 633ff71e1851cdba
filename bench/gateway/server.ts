/**
 * What is measured: a node, and two gateways before one service in the same process: one with a price and one without. A
 * process of its own; its parent says where the service is, and asks what was charged.
 */
import { rmSync } from 'node:fs';
import { assert } from '../../src/errors.ts';
import { Gateway } from '../../src/gateway/gateway.ts';
import { suitNode } from '../../src/gateway/node-settings.ts';
import { Routes } from '../../src/gateway/routes.ts';
import { LoadChannels } from '../../src/load/channels.ts';
import { lineLogger } from '../../src/log.ts';
import { ClaimwireNode } from '../../src/node/node.ts';
import { CHANNELS, MERCHANT, PRICE, SEED, UDP_SEED } from './shared.ts';

const CAPACITY = 1_000_000_000n;
const LOOPBACK = { host: '127.0.0.1', port: 0 };

const [data, upstream] = process.argv.slice(2) as [string, string];
const logger = lineLogger('warn');
const node = await ClaimwireNode.start({ data, udp: LOOPBACK, logger });
// As `claimwire gateway` does.
suitNode(node.tuning);
const openings = [SEED, UDP_SEED].flatMap((seed) => {
  const { table } = LoadChannels.derive(seed, CHANNELS, CHANNELS);
  return Array.from({ length: CHANNELS }, (_, row) => {
    const { channelId, ledgerChannelId, publicKey } = table.read(row);
    return { channelId, ledgerChannelId, publicKey, capacity: CAPACITY, profile: 'xrpl' as const, expiresAt: 0 };
  });
});
const { opened } = await node.openChannels(openings);
assert(opened === openings.length, `${openings.length} channels are opened, got ${opened}`);

const common = { node, meter: node, listen: LOOPBACK, upstream, merchant: MERCHANT, challengeSeconds: 3_600, logger };
const paid = await Gateway.start({ ...common, routes: Routes.flat(PRICE), sessionSeconds: 3_600 });
const free = await Gateway.start({ ...common, routes: Routes.flat(0n) });

process.on('message', () => {
  const spent = openings.reduce((sum, { channelId }) => sum + node.spent(channelId), 0n);
  const committed = openings.reduce((sum, { channelId }) => sum + node.channel(channelId)!.committed, 0n);
  process.send!({ stats: paid.stats(), spent: String(spent), committed: String(committed) });
});
process.on('disconnect', async () => {
  await Promise.all([paid.close(), free.close()]);
  await node.stop();
  rmSync(data, { recursive: true, force: true });
  process.exit();
});
process.send!({ paid: paid.address.port, free: free.address.port, udp: node.udp, backend: node.backend });
