/**
 * A web service that is paid per request, in fifteen lines: a node, and a gateway that puts a price before the service. The
 * customer's side below is paidFetch. On the command line the same is `claimwire gateway --upstream URL --price 25 …`.
 *
 * Run it: node examples/paid-api.mjs
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireNode, Gateway, Routes } from 'claimwire';
import { generateKey, paidFetch } from 'claimwire/client';

// ---- The seller: any HTTP service, a node, and the gateway before it.
const service = createServer((request, response) => response.end(`the answer to ${request.url} is 42\n`));
service.listen(0, '127.0.0.1');
await once(service, 'listening');
const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
const node = await ClaimwireNode.start({ data, udp: { host: '127.0.0.1', port: 0 } });
const gateway = await Gateway.start({
  node,
  meter: node, // charges are kept by the node
  listen: { host: '127.0.0.1', port: 0 },
  upstream: `http://127.0.0.1:${service.address().port}`,
  routes: Routes.parse([
    { path: '/health', price: 0 },
    { path: '/ask/*', price: '25' }, // drops
  ]),
  merchant: { realm: '127.0.0.1', recipient: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh', network: 'testnet' },
});

// ---- The customer: a key, and a channel that the seller has opened for it.
const key = generateKey();
const ledgerChannelId = randomBytes(32).toString('hex');
await node.openChannels([{ ledgerChannelId, publicKey: key.publicKey, capacity: 1_000n }]);
const pay = paidFetch({ ledgerChannelId, key, budget: 100n });

const url = `http://127.0.0.1:${gateway.address.port}`;
console.log(
  `without paying: ${(await fetch(`${url}/ask/why`)).status}, free: ${(await fetch(`${url}/health`)).status}`,
);
for (const path of ['/ask/why', '/ask/how']) console.log((await (await pay(url + path)).text()).trim());
const channelId = BigInt(`0x${ledgerChannelId.slice(0, 16)}`);
console.log(`charged ${node.spent(channelId)} drops; the customer has signed for ${pay.signed}`);

await gateway.close();
await node.stop();
service.close();
await rm(data, { recursive: true });
