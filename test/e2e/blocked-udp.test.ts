/**
 * Our payer against a node as an operator runs it, over a bad network: UDP blocked and then open again; a TCP connection
 * cut repeatedly in the middle of a message. Nothing is lost, and nothing is paid twice.
 */
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { generateKey, keySigner, Payer } from '../../src/client/index.ts';
import { getJson, NodeProcess, openChannels, temporaryFolders } from '../support/node-process.ts';
import { random } from '../support/random.ts';
import { cuttingRelay } from '../support/wire-tcp.ts';

const folder = temporaryFolders();
const CHANNELS = 20;

/** A node, its channels, and what they have committed in the end. */
async function nodeWithChannels(flags: string[]) {
  const data = folder('blocked');
  const node = new NodeProcess(data, flags);
  const ready = await node.ready;
  const key = generateKey();
  const ids = Array.from({ length: CHANNELS }, () => randomBytes(32).toString('hex').toUpperCase());
  await openChannels(
    ready,
    data,
    ids.map((ledgerChannelId) => ({ ledgerChannelId, publicKey: key.publicKey, capacity: '1000000' })),
  );
  const committed = () =>
    Promise.all(
      ids.map(async (id) => Number((await getJson<{ committed: string }>(ready, `/channels/${id}`)).committed)),
    );
  const channelsOf = (payer: Payer) => {
    const signer = keySigner(key);
    return ids.map((ledgerChannelId) => payer.channel({ ledgerChannelId, key: signer }));
  };
  return { node, tcp: (ready as unknown as { tcp: string }).tcp, committed, channelsOf };
}

/** A node by TCP, and a socket at the same number that hears what comes by UDP; another program may have that port already. */
async function nodeBehindHole() {
  for (let left = 5; ; left--) {
    const made = await nodeWithChannels(['--tcp', '127.0.0.1:0']);
    const hole = dgram.createSocket('udp4');
    hole.bind(Number(made.tcp.split(':')[1]), '127.0.0.1');
    try {
      await once(hole, 'listening');
      return { ...made, hole };
    } catch (error) {
      if (left === 0) throw error;
      hole.close();
      await made.node.stop();
    }
  }
}

test('with UDP blocked an auto:// payer goes on over TCP, and loses nothing', async () => {
  // What arrives at the port by UDP is never answered, as behind a firewall.
  const { node, tcp, committed, channelsOf, hole } = await nodeBehindHole();
  let swallowed = 0;
  hole.on('message', () => swallowed++);
  const payer = await Payer.open({ to: `auto://${tcp}` });
  const channels = channelsOf(payer);
  const began = performance.now();
  await Promise.all(channels.map((channel) => channel.pay(3n)));
  const tookMs = performance.now() - began;
  // Printed, and asserted only loosely, since a loaded machine may be slow.
  console.info(
    `auto://: ${channels.length} claims durable over TCP ${tookMs.toFixed(0)} ms after the first went into the hole`,
  );
  expect(tookMs).toBeLessThan(10_000);
  expect(payer.stats()).toMatchObject({ transport: 'tcp', transportSwitches: 1 });
  expect(swallowed).toBeGreaterThan(0);
  await Promise.all(channels.map((channel) => channel.pay(4n)));
  expect(await committed()).toEqual(new Array(CHANNELS).fill(7));
  await payer.close();
  hole.close();
  await node.stop();
});

test('a connection cut 50 times in mid-stream loses nothing and pays nothing twice', async () => {
  const { node, tcp, committed, channelsOf } = await nodeWithChannels([]);
  const relay = await cuttingRelay(tcp, random(5), 4_000);
  const payer = await Payer.open({ to: `tcp://${relay.address}`, ackTimeoutMs: 60_000 });
  const channels = channelsOf(payer);
  const cuts = () => Object.values(relay.faults).reduce((sum, count) => sum + count, 0) - (relay.faults.halves ?? 0);
  let paid = 0;
  while (cuts() < 50 && paid < 2_000) {
    await Promise.all(channels.map((channel) => channel.pay(1n)));
    paid++;
  }
  expect(cuts()).toBeGreaterThanOrEqual(50);
  expect(await committed()).toEqual(new Array(CHANNELS).fill(paid));
  expect(channels.map((channel) => Number(channel.committed))).toEqual(new Array(CHANNELS).fill(paid));
  await payer.close();
  await relay.close();
  await node.stop();
}, 60_000);
