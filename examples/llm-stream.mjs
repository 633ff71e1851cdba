/**
 * A language model that is paid by the token: each event of its stream costs 3 drops. Four are paid for ahead at a time, and
 * the stream goes on as long as the channel's claims cover it. Here the customer streams claims over UDP while it reads.
 *
 * Run it: node examples/llm-stream.mjs
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireNode, Gateway, Routes } from 'claimwire';
import { generateKey, Payer, sessionAuthorization } from 'claimwire/client';

const PRICE = 3n; // drops a token
const AHEAD = 4;

// ---- The seller: a "model" that streams events, and a gateway that counts them.
const words = 'money that moves as fast as the words it pays for needs no invoice'.split(' ');
const model = createServer((_, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const word of words) response.write(`data: ${word}\n\n`);
  response.end();
});
model.listen(0, '127.0.0.1');
await once(model, 'listening');
const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
const node = await ClaimwireNode.start({ data, udp: { host: '127.0.0.1', port: 0 } });
const gateway = await Gateway.start({
  node,
  meter: node,
  listen: { host: '127.0.0.1', port: 0 },
  upstream: `http://127.0.0.1:${model.address().port}`,
  routes: Routes.parse([{ path: '/chat', price: String(PRICE), per: 'event', ahead: AHEAD }]),
  merchant: { realm: '127.0.0.1', recipient: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh', network: 'testnet' },
});

// ---- The customer: one signature for the session, then claims.
const key = generateKey();
const ledgerChannelId = randomBytes(32).toString('hex');
await node.openChannels([{ ledgerChannelId, publicKey: key.publicKey, capacity: 10_000n }]);
const url = `http://127.0.0.1:${gateway.address.port}/chat`;
const challenge = (await fetch(url)).headers.get('www-authenticate');
const authorization = await sessionAuthorization({ challenge, realm: '127.0.0.1', ledgerChannelId, key });

const payer = await Payer.open({ to: `udp://${node.udp}` });
const channel = payer.channel({ ledgerChannelId, key, committed: 0n });
let paidFor = AHEAD;
await channel.pay(PRICE * BigInt(paidFor));
const response = await fetch(url, { headers: { authorization } });
let text = '';
for await (const chunk of response.body) {
  text += Buffer.from(chunk).toString();
  // Pays for the next tokens before they are asked for.
  while (text.split('\n\n').length > paidFor - AHEAD) {
    paidFor += AHEAD;
    await channel.pay(PRICE * BigInt(AHEAD));
  }
}
const tokens = [...text.matchAll(/^data: (.*)$/gm)].map(([, word]) => word);
console.log(tokens.join(' '));
await payer.close();
// What was paid ahead and not used is given back when the stream ends.
await gateway.close();
console.log(`${tokens.length} tokens cost ${node.spent(channel.channelId)} drops`);
await node.stop();
model.close();
await rm(data, { recursive: true });
