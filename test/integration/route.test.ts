/**
 * Two real nodes that share the shards, and a payer that is told of one of them: MOVED on the wire, the route over TCP, and
 * a move. What a cluster does to its nodes is done by hand here. The nodes run the compiled code.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ClaimwireNode } from '../../dist/src/index.js';
import { SHARDS, shardOfChannel } from '../../protocol/shard.ts';
import { packedRows } from '../../src/channel/row.ts';
import { ConnectionPool, generateKey, keySigner, Payer, type PaymentChannel } from '../../src/client/index.ts';
import { TcpLink } from '../../src/client/links/link-tcp.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-route-'));
const key = generateKey();
const SHARD_LIST = Array.from({ length: SHARDS }, (_, shard) => shard);
const nodes: ClaimwireNode[] = [];

/** Payers by UDP ask at the same port by TCP, which another program of this machine may have taken: then with another port. */
async function start(name: string): Promise<ClaimwireNode> {
  for (let left = 5; ; left--) {
    const udp = { host: '127.0.0.1', port: 0 };
    const data = join(ROOT, name);
    const node = await ClaimwireNode.start({ data, udp, lanes: 1, channelsMax: 1 << 12, segmentBytes: 1 << 20 });
    if (node.tcp === node.udp || left === 0) return node;
    await node.stop();
  }
}

/** Tells both nodes who holds what. */
function share(version: number, holderOf: (shard: number) => 'one' | 'two'): void {
  const names = ['one', 'two'] as const;
  const members = nodes.map((node, index) => ({
    name: names[index]!,
    places: [`udp://${node.udp}`, `tcp://${node.tcp}`],
  }));
  const holders = SHARD_LIST.map(holderOf);
  nodes.forEach((node, index) => {
    node.route.hold(
      SHARD_LIST.filter((shard) => holders[shard] === names[index]),
      version,
    );
    node.route.show({ version, node: names[index]!, nodes: members, holders });
  });
}

const idOf = (number: number): Uint8Array => new Uint8Array(32).fill(number, 6, 8);
const openingOf = (number: number) => ({
  ledgerChannelId: Buffer.from(idOf(number)).toString('hex'),
  publicKey: Buffer.from(keySigner(key).publicKey).toString('hex'),
  capacity: '1000000',
});
const moved = (node: ClaimwireNode): number =>
  (node.stats().counters.refused as unknown as Record<string, number>).moved!;

beforeAll(async () => {
  nodes.push(await start('one'), await start('two'));
}, 60_000);
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  rmSync(ROOT, { recursive: true, force: true });
});

it('a payer of one seed pays channels of both nodes, and follows a move; no claim is lost or counted twice', async () => {
  const [one, two] = nodes as [ClaimwireNode, ClaimwireNode];
  share(1, (shard) => (shard % 2 === 0 ? 'one' : 'two'));
  await using payer = await Payer.open({ to: `udp://${one.udp}` });
  const channels: PaymentChannel[] = [];
  for (let number = 1; number <= 24; number++) {
    const channel = payer.channel({ ledgerChannelId: idOf(number), key });
    const holder = shardOfChannel(channel.channelId) % 2 === 0 ? one : two;
    await holder.openChannels([openingOf(number)]);
    channels.push(channel);
  }
  const first = await Promise.all(channels.map((channel) => channel.pay(5n)));
  expect(first.map(({ amount }) => amount)).toEqual(channels.map(() => 5n));
  expect([moved(one) > 0, moved(two)]).toEqual([true, 0]);
  expect(payer.stats().route).toMatchObject({ version: '1', places: 2, asked: 1 });

  // A move by hand: node one ends its channels, node two goes on from what they had.
  const given = channels.flatMap(({ channelId }, index) => (one.channel(channelId) === undefined ? [] : [index + 1]));
  const closed = new Map<number, bigint>();
  for (const number of given) closed.set(number, (await one.closeChannel(channels[number - 1]!.channelId)).committed);
  share(2, () => 'two');
  for (const [number, committed] of closed) {
    const { channelId } = channels[number - 1]!;
    await two.openChannels([openingOf(number)]);
    await two.raiseCommitted(channelId, committed);
  }
  const second = await Promise.all(channels.map((channel) => channel.pay(3n)));
  expect(second.map(({ amount }) => amount)).toEqual(channels.map(() => 8n));
  expect(channels.every(({ channelId }) => two.channel(channelId)!.committed === 8n)).toBe(true);
  expect(payer.stats().route).toMatchObject({ version: '2', changes: 2 });

  // A channel is open at one node: not at the one that gave it away, by whatever way.
  await expect(one.openChannels([openingOf(given[0]!)])).rejects.toMatchObject({
    code: 'MOVED',
    details: { node: 'two' },
  });
  const row = packedRows([two.channel(channels[given[0]! - 1]!.channelId)!]);
  await expect(one.openRows(row)).rejects.toMatchObject({ code: 'MOVED' });

  const gone = channels[given[0]! - 1]!;
  await using later = await Payer.open({ to: `tcp://${one.tcp}` });
  const best = await later.resume(later.channel({ ledgerChannelId: idOf(given[0]!), key }));
  expect(best).toMatchObject({ committed: two.channel(gone.channelId)!.committed });
}, 30_000);

it('payers that share connections follow the route, over connections that they share as well', async () => {
  const [one, two] = nodes as [ClaimwireNode, ClaimwireNode];
  const to = `tcp://${one.tcp}`;
  await using pool = new ConnectionPool({ to });
  await using payer = await Payer.open({ to, pool });
  await using other = await Payer.open({ to, pool });
  const channel = payer.channel({ ledgerChannelId: idOf(1), key, committed: 8n });
  expect(() => other.channel({ ledgerChannelId: idOf(1), key })).toThrow(/expected a handle not in use/);
  const beside = other.channel({ ledgerChannelId: idOf(2), key, committed: 8n });
  expect((await Promise.all([channel.claim(9n), beside.claim(9n)])).map(({ amount }) => amount)).toEqual([9n, 9n]);
  expect(two.channel(channel.channelId)!.committed).toBe(9n);
  expect(payer.stats().route).toMatchObject({ version: '2', places: 2 });
});

it('a payer over a link of one node is refused for good, and loses nothing', async () => {
  const [one] = nodes as [ClaimwireNode];
  await using pool = new ConnectionPool({ to: `tcp://${one.tcp}` });
  await using payer = new Payer({ link: new TcpLink(pool, false) });
  const channel = payer.channel({ ledgerChannelId: idOf(1), key, committed: 9n });
  await expect(channel.claim(10n)).rejects.toMatchObject({
    code: 'CLAIM_REFUSED',
    details: { status: 'MOVED', amount: '2' },
  });
});
