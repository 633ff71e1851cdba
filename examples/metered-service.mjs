/**
 * A service with the node in its own process, which charges per request: a customer streams claims, and an order is served
 * once the claims cover it. A charge that is asked for again with the same key is not made again.
 *
 * Run it: node examples/metered-service.mjs
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireNode } from 'claimwire';
import { generateKey, Payer } from 'claimwire/client';

// ---- The service.
const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
const node = await ClaimwireNode.start({ data, udp: { host: '127.0.0.1', port: 0 } });

async function serve(channelId, order) {
  // Waits until claims cover it, and resolves when it is durable. The key makes a repeated order free.
  const { spent, repeated } = await node.charge(channelId, 25n, { key: order, signal: AbortSignal.timeout(10_000) });
  return `${order}: ${repeated ? 'paid before' : 'paid now'}, ${spent} drops spent`;
}

// ---- The customer: a channel that the service has opened, and a payer.
const key = generateKey();
const ledgerChannelId = randomBytes(32).toString('hex');
await node.openChannels([{ ledgerChannelId, publicKey: key.publicKey, capacity: 1_000n }]);
const payer = await Payer.open({ to: `udp://${node.udp}` });
const channel = payer.channel({ ledgerChannelId, key });

await channel.pay(40n);
console.log(await serve(channel.channelId, 'order 1'));
console.log(await serve(channel.channelId, 'order 1'));
const second = serve(channel.channelId, 'order 2'); // 10 drops are missing: it waits
await channel.pay(10n);
console.log(await second);
const refused = await node.charge(channel.channelId, 25n, { wait: false }).catch((error) => error);
console.log(`without money: ${refused.code}, ${refused.details.missing} drops missing`);

await payer.close();
await node.stop();
await rm(data, { recursive: true });
