/**
 * A customer: fetch that pays, with a bound that it never passes. The seller here is a gateway before a small service; see
 * paid-api.mjs for that side.
 *
 * Run it: node examples/paid-fetch.mjs
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireNode, Gateway, Routes } from 'claimwire';
import { generateKey, paidFetch } from 'claimwire/client';

const service = createServer((request, response) => response.end(`${request.method} ${request.url}`));
service.listen(0, '127.0.0.1');
await once(service, 'listening');
const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
const node = await ClaimwireNode.start({ data, udp: { host: '127.0.0.1', port: 0 } });
const gateway = await Gateway.start({
  node,
  meter: node,
  listen: { host: '127.0.0.1', port: 0 },
  upstream: `http://127.0.0.1:${service.address().port}`,
  routes: Routes.flat(10n),
  merchant: { realm: '127.0.0.1', recipient: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh', network: 'testnet' },
});
const key = generateKey();
const ledgerChannelId = randomBytes(32).toString('hex');
await node.openChannels([{ ledgerChannelId, publicKey: key.publicKey, capacity: 1_000n }]);

// ---- From here on it is all the customer's.
const url = `http://127.0.0.1:${gateway.address.port}`;
const pay = paidFetch({
  ledgerChannelId,
  key,
  budget: 30n, // drops in all: whatever the server says, no more is signed
  priceMax: 10n, // drops for one request
});
for (const [path, init] of [
  ['/cat', {}],
  ['/dog', { method: 'POST', body: 'bone' }],
  ['/owl', {}],
]) {
  const response = await pay(url + path, init);
  console.log(`${await response.text()}: ${response.status}, signed for ${pay.signed} drops so far`);
}
try {
  await pay(`${url}/fox`);
} catch (error) {
  console.log(`${error.code}: ${error.message}`);
}

await gateway.close();
await node.stop();
service.close();
await rm(data, { recursive: true });
