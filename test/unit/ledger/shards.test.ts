/** Channels of the ledger whose shards go from node to node: who watches them, until when their claims are accepted. Test's thread. */
import { expect, test } from 'vitest';
import { SHARDS, shardOfChannel } from '../../../protocol/shard.ts';
import type { Channel } from '../../../src/channel/row.ts';
import { LedgerViews } from '../../../src/ledger/views.ts';
import { idOf, PAYEE, settled } from '../../support/chain-rig.ts';
import { type ClusterNode, LedgerCluster } from '../../support/ledger-cluster.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';

const XRP = 1_000_000n;
const ALL = Array.from({ length: SHARDS }, (_, shard) => shard);

async function pair() {
  const cluster = new LedgerCluster();
  return { cluster, one: await cluster.enter('one'), two: await cluster.enter('two') };
}

/** Tables of entries in the database, of all shards. */
async function stored({ database }: ClusterNode): Promise<string[]> {
  const tables: string[] = [];
  await database.readShardSides(ALL, ({ table }) => tables.push(table));
  return tables.sort();
}

const faults = ({ log }: ClusterNode) => log.filter((line) => /^(warn|error)/.test(line));

test('a channel is watched where its shard is, and one that went is no removed one', async () => {
  const { cluster, one, two } = await pair();
  const row = await cluster.opened(one);
  expect(one.service.health().watched).toBe(1);
  await one.give(row, two);
  expect([one, two].map(({ service }) => service.health().watched)).toEqual([0, 1]);
  expect([one, two].map(({ service }) => service.state(row.channelId)?.deposited)).toEqual([undefined, 100n * XRP]);
  await cluster.pay({ TransactionType: 'PaymentChannelFund', Channel: idOf(row), Amount: String(XRP) });
  await cluster.askToClose(row);
  // Both poll, some times.
  for (let count = 0; count < 3; count++) await cluster.step(60);
  const end = two.service.state(row.channelId)!.expiration;
  expect(end).toBeGreaterThan(0);
  expect(two.channel(row.channelId)).toMatchObject({ capacity: 101n * XRP, expiresAt: end, state: 'open' });
  expect(await stored(two)).toEqual(['ledger-channels', 'ledger-polled', 'redemptions']);
  expect([one, two].flatMap(faults)).toEqual([]);
  // It comes back, and is removed by its operator where it is.
  await two.give(row, one);
  expect(one.service.state(row.channelId)).toMatchObject({ deposited: 101n * XRP, expiration: end });
  expect(await one.removeChannels([row.channelId], { force: true })).toMatchObject({ removed: 1 });
  for (let count = 0; count < 2; count++) await cluster.step(60);
  expect(await stored(one)).toContain('ledger-removed');
  expect(await stored(one)).not.toContain('ledger-channels');
});

test('what was not seen for too long is refused by who takes it over, until it is seen again', async () => {
  const cluster = new LedgerCluster();
  const one = await cluster.enter('one');
  const two = await cluster.enter('two');
  const rows = [await cluster.opened(one), await cluster.opened(one), await cluster.opened(one)];
  const [given, row, later] = rows as [Channel, Channel, Channel];
  await one.give(given, two);
  await cluster.step(60);
  one.connection.isDown = true;
  // SettleDelay is an hour, and ten minutes of it are for redeeming.
  for (let minutes = 0; minutes < 45; minutes += 9) await cluster.step(540);
  expect([one.judge(row, 6n * XRP), two.judge(given, 6n * XRP)]).toEqual(['ADMITTED', 'ADMITTED']);
  two.connection.isDown = true;
  await one.give(later, two);
  // The receiver has seen its own channels a minute ago; of this one it knows what the giver had seen.
  for (let minutes = 0; minutes < 6; minutes++) await cluster.step(60);
  expect([two.judge(given, 6n * XRP), two.judge(later, 6n * XRP)]).toEqual(['ADMITTED', 'CHANNEL_CLOSED']);
  // From the first moment on.
  await two.takeOver(one);
  expect(two.judge(row, 6n * XRP)).toBe('CHANNEL_CLOSED');
  two.connection.isDown = false;
  await cluster.step(8);
  expect(rows.map((each) => two.judge(each, 6n * XRP))).toEqual(['ADMITTED', 'ADMITTED', 'ADMITTED']);
});

test('what happens on the ledger while a shard moves is seen at once by who gets it', async () => {
  const { cluster, one, two } = await pair();
  const row = await cluster.opened(one);
  await cluster.step(60);
  await cluster.askToClose(row);
  await one.give(row, two);
  await cluster.step(1);
  expect(two.service.state(row.channelId)!.expiration).toBeGreaterThan(0);
  // It is redeemed before it ends.
  for (let count = 0; count < 4; count++) await cluster.step();
  expect(cluster.paidOut(row)).toBe(5n * XRP);
});

test('one that is about to end, and that its giver could not redeem, is redeemed without waiting for a round', async () => {
  const { cluster, one, two } = await pair();
  const row = await cluster.opened(one);
  one.connection.feeDrops = 5_000n;
  await cluster.askToClose(row);
  await cluster.step(60);
  expect(one.service.redemptions(9)).toEqual([]);
  await one.give(row, two);
  await settled();
  expect(two.service.redemptions(9)).toMatchObject([{ state: 'pending' }]);
});

test('a redemption that the node began by itself ends without a word when its shard goes, and the next holder makes it', async () => {
  const cluster = new LedgerCluster();
  const one = await cluster.enter('one', { aboveDrops: 1n });
  const two = await cluster.enter('two', { aboveDrops: 1n });
  const row = await cluster.opened(one);
  cluster.chain.holdSubmissions = true;
  await cluster.step();
  expect(one.service.redemptions(9)).toMatchObject([{ state: 'pending' }]);
  await one.give(row, two);
  cluster.chain.holdSubmissions = false;
  for (let count = 0; count < 3; count++) await cluster.step();
  expect(two.service.redemptions(9)).toMatchObject([{ state: 'paid' }]);
  expect(cluster.transactionsOf(PAYEE.address)).toHaveLength(1);
  expect(one.service.redemptions(9)).toEqual([]);
  expect([one, two].flatMap(faults)).toEqual([]);
});

test('a channel opens by itself at the node that holds its shard, and nowhere else', async () => {
  const cluster = new LedgerCluster();
  const one = await cluster.enter('one', { autoOpen: true });
  const two = await cluster.enter('two', { autoOpen: true });
  const rows = [await cluster.channel(), await cluster.channel()];
  const [here, there] = rows as [Channel, Channel];
  await one.give(there, two);
  for (const node of [one, two]) node.unknownChannel++;
  for (let count = 0; count < 2; count++) await cluster.step(60);
  expect([one, two].map((node) => rows.map(({ channelId }) => node.channel(channelId)?.state))).toEqual([
    ['open', undefined],
    [undefined, 'open'],
  ]);
  const moved = ({ channelId }: Channel) => ({ code: 'MOVED', details: { channelId: String(channelId) } });
  await expect(one.service.openFromLedger(there.ledgerChannelId)).rejects.toMatchObject(moved(there));
  await expect(two.service.redeem(here.channelId)).rejects.toMatchObject(moved(here));
  expect([one, two].flatMap(faults)).toEqual([]);
});

test('a view of a shard that is given away is neither changed nor removed here', async () => {
  const tables = new MemorySideTables();
  const views = new LedgerViews(Object.assign(tables, { isSharded: true }));
  const { cluster, one } = await pair();
  const { channelId, ledgerChannelId } = await cluster.opened(one);
  const view = { ...(one.service.state(channelId) as Parameters<LedgerViews['add']>[0]), channelId, ledgerChannelId };
  await views.add(view);
  const shards = new Set([shardOfChannel(channelId)]);
  views.drain(shards);
  views.set({ ...view, redeemed: 1n });
  await views.save();
  await views.remove(view);
  await views.markRemoved(view);
  expect([views.count, [...tables.entries('ledger-channels')].length, views.isRemoved(ledgerChannelId)]).toEqual([
    0,
    1,
    false,
  ]);
  expect(views.serve(shards)).toMatchObject([{ channelId, redeemed: 0n }]);
  expect(views.count).toBe(1);
  views.drain(shards);
  views.drop(shards);
  expect([views.serve(shards), views.count]).toEqual([[], 0]);
});
