/**
 * A node and a payer in one process: the node starts, a channel is opened, three payments go through it, both stop.
 *
 * Run it: node examples/node-and-payer.mjs
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireNode } from 'claimwire';
import { generateKey, Payer } from 'claimwire/client';

// The folder holds the channels and the journal of their claims. A real node keeps its folder; this one is thrown away.
const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
// Port 0 picks a free port. The default is 127.0.0.1:9393.
const node = await ClaimwireNode.start({ data, udp: { host: '127.0.0.1', port: 0 } });

// The payer's key, and the id that the channel would have on the XRP Ledger: the PaymentChannelCreate that made it.
const key = generateKey();
const ledgerChannelId = randomBytes(32).toString('hex');

await node.openChannels([
  {
    ledgerChannelId,
    publicKey: key.publicKey,
    capacity: 1_000_000n, // drops; a million of them are one XRP
  },
]);

const payer = await Payer.open({ to: `udp://${node.udp}` });
const channel = payer.channel({ ledgerChannelId, key });
for (const drops of [25n, 10n, 7n]) {
  // Resolves when the node has verified the claim, written it to its disk, synced the disk, and said so.
  const ack = await channel.pay(drops);
  console.log(`paid ${drops} drops; ${ack.amount} in all are durable at the node`);
}
await payer.close();

const { committed, capacity } = node.channel(channel.channelId);
console.log(`the node holds a claim of ${committed} of ${capacity} drops`);
await node.stop();
await rm(data, { recursive: true });
