/**
 * Two nodes that sell to each other, each the other's payer and payee, over one connection: Ann has weather, Ben has maps.
 * Ben dials, as a node behind a firewall must; Ann pays him over the connection that he opened. In the end each prints what
 * it owes, what it has earned, and what it may redeem.
 *
 * Run it: node examples/peers/peers.mjs
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireNode } from 'claimwire';
import { generateKey, netting, nettingText, Peering } from 'claimwire/client';

const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
const host = '127.0.0.1';
const annNode = await ClaimwireNode.start({ data: join(data, 'ann'), udp: { host, port: 0 } });
const benNode = await ClaimwireNode.start({ data: join(data, 'ben'), udp: { host, port: 0 } });

// Two channels, one each way: the payer has the key, the payee's node has the channel open.
const annPaysBen = { ledgerChannelId: randomBytes(32).toString('hex'), key: generateKey() };
const benPaysAnn = { ledgerChannelId: randomBytes(32).toString('hex'), key: generateKey() };
const opening = ({ ledgerChannelId, key }) => ({ ledgerChannelId, publicKey: key.publicKey, capacity: 1_000_000n });
const handle = ({ ledgerChannelId }) => BigInt(`0x${ledgerChannelId.slice(0, 16)}`);
await annNode.openChannels([opening(benPaysAnn)]);
await benNode.openChannels([opening(annPaysBen)]);

// Ann listens for peers, and knows Ben by the channel that he pays her by: only he has its key.
const ann = await Peering.open({ node: `tcp://${annNode.tcp}`, listen: { host, port: 0 } });
const toBen = ann.accept({ channelId: handle(benPaysAnn) }).channel(annPaysBen);
// Ben listens nowhere.
const ben = await Peering.open({ node: `tcp://${benNode.tcp}` });
const toAnn = ben.dial({ to: `tcp://${ann.address}`, proof: benPaysAnn }).channel(benPaysAnn);

// A service looks at what its own node has committed, and serves what is paid for.
const weather = { price: 30n, paid: () => annNode.channel(handle(benPaysAnn)).committed };
const maps = { price: 50n, paid: () => benNode.channel(handle(annPaysBen)).committed };
async function buy(count, { price, paid }, channel) {
  for (let bought = 0; bought < count; bought++) {
    const { amount } = await channel.pay(price);
    if (paid() < amount) throw new Error(`expected ${amount} drops at the seller's node, got ${paid()}`);
  }
}
await Promise.all([buy(5, weather, toAnn), buy(2, maps, toBen)]);

console.log(`connections between them: ${ann.stats().connections}`);
const annEarns = annNode.channel(handle(benPaysAnn));
const benEarns = benNode.channel(handle(annPaysBen));
console.log(`\nAnn\n${nettingText(netting([{ peer: 'Ben', pays: toBen, earns: annEarns }]))}`);
console.log(`\nBen\n${nettingText(netting([{ peer: 'Ann', pays: toAnn, earns: benEarns, redeemed: 0n }]))}`);

await Promise.all([ann.close(), ben.close()]);
await Promise.all([annNode.stop(), benNode.stop()]);
await rm(data, { recursive: true });
