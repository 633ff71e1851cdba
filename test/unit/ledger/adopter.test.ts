/** Channels that were opened by hand, and those that were removed, while a ledger is followed. Test's thread. */
import { expect, test } from 'vitest';
import { Secp256k1Signer } from '../../../src/client/keys/signer.ts';
import { LedgerRig, ledgerChannel } from '../../support/ledger-rig.ts';
import { openingOf } from '../../support/wire.ts';

const OTHER_ACCOUNT = 'rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe';
const otherKey = new Secp256k1Signer(new Uint8Array(32).fill(9)).publicKey;
const idOf = (channelId: bigint) => openingOf(channelId).ledgerChannelId;
const logged = (rig: LedgerRig, pattern: RegExp) => rig.log.filter((line) => pattern.test(line));

/** A node, not yet started, with these channels opened by hand; those of `onLedger` are on the ledger. */
async function byHand(openings: Parameters<LedgerRig['node']['openChannels']>[0], onLedger: bigint[]) {
  const rig = new LedgerRig();
  await rig.node.openChannels(openings);
  for (const channelId of onLedger) rig.ledger.put(idOf(channelId), ledgerChannel(channelId));
  return rig;
}

test('a channel that was opened by hand is watched, under whatever handle, with the lower of both capacities', async () => {
  const unstarted = await byHand([openingOf(7n, { capacity: 400n }), { ...openingOf(8n), channelId: 99n }], [7n, 8n]);
  const rig = await LedgerRig.start({}, unstarted);
  expect(rig.service.state(7n)).toMatchObject({ deposited: 1_000_000n });
  expect(rig.service.state(99n)).toMatchObject({ deposited: 1_000_000n });
  const end = rig.clock.seconds + 3_600;
  await rig.change(7n, { expiration: end, amount: 2_000_000n });
  await rig.change(8n, { expiration: end, amount: 2_000_000n });
  expect(rig.node.channel(7n)).toMatchObject({ capacity: 400n, expiresAt: end });
  expect(rig.node.channel(99n)).toMatchObject({ capacity: 2_000_000n, expiresAt: end });
  const next = await LedgerRig.start({}, rig);
  await next.change(8n, undefined);
  expect(next.node.channel(99n)!.state).toBe('closed');
  // Opened by id, it is the same channel, with what the ledger says.
  expect(await next.service.openFromLedger(idOf(7n))).toMatchObject({ channelId: 7n, capacity: 2_000_000n });
});

test('one that is opened by hand later is found by the next poll, and that by id opens no second one', async () => {
  const rig = await LedgerRig.start();
  rig.ledger.put(idOf(7n), ledgerChannel(7n, { balance: 30n }));
  await rig.node.openChannels([{ ...openingOf(7n), channelId: 99n }]);
  await rig.pass(60);
  expect(rig.node.channel(99n)).toMatchObject({ committed: 30n });
  expect(await rig.service.openFromLedger(idOf(7n))).toMatchObject({ channelId: 99n });
  expect(rig.service.health().watched).toBe(1);
});

test('with another key than on the ledger it is told as an error once, and left alone', async () => {
  const rig = await LedgerRig.start({}, await byHand([{ ...openingOf(7n), publicKey: otherKey }], [7n]));
  await rig.pass(60);
  await rig.pass(60);
  expect(logged(rig, /error .*channel 7 .*expected the key [0-9A-F]{66} of the ledger, got/)).toHaveLength(1);
  expect(rig.service.state(7n)).toBeUndefined();
});

test('those that the ledger does not know are told once; those that a list lacks are asked for', async () => {
  const unstarted = await byHand(
    [7n, 8n, 9n].map((id) => openingOf(id)),
    [8n],
  );
  unstarted.ledger.put(idOf(9n), ledgerChannel(9n, { destination: OTHER_ACCOUNT }));
  await unstarted.node.openChannels([openingOf(10n, { profile: 'link' })]);
  const rig = new LedgerRig({}, unstarted);
  const { channelsTo } = rig.connection;
  const emptied = async (account: string) => ({ ...(await channelsTo.call(rig.connection, account)), channels: [] });
  rig.connection.channelsTo = emptied;
  await rig.service.start();
  await rig.pass(60);
  await rig.pass(60);
  expect(logged(rig, /warn ledger: 1 channels that were opened by hand are not on the ledger.*: 7 \(/)).toHaveLength(1);
  expect(logged(rig, /warn .*channel 9 .*got one that pays rPT1/)).toHaveLength(1);
  expect([7n, 8n, 9n, 10n].map((id) => rig.service.state(id) !== undefined)).toEqual([false, true, false, false]);
  expect(rig.connection.asked.filter((name) => name === 'channel').length).toBeLessThanOrEqual(6);
  expect(rig.service.health().failure).toBeNull();
});

test('a channel that the operator removed opens by itself no more, also after a restart, until it is opened by id', async () => {
  const rig = await LedgerRig.start({ autoOpen: true }, await byHand([openingOf(7n), openingOf(8n)], [7n, 8n]));
  await rig.node.removeChannels([7n]);
  rig.node.unknownChannel = 1;
  await rig.pass(60);
  await rig.pass(60);
  expect(rig.node.channel(7n)).toBeUndefined();
  // Removed while nobody watches.
  const unwatched = new LedgerRig({}, rig);
  await unwatched.node.removeChannels([8n]);
  const next = await LedgerRig.start({ autoOpen: true }, unwatched);
  next.node.unknownChannel = 1;
  await next.pass(60);
  await next.pass(60);
  expect([next.node.channel(7n), next.node.channel(8n)]).toEqual([undefined, undefined]);
  await next.service.openFromLedger(idOf(7n));
  await next.change(8n, undefined);
  await next.pass(60);
  expect([...next.tables.entries('ledger-removed')]).toEqual([]);
  const last = await LedgerRig.start({ autoOpen: true }, next);
  await last.pass(60);
  expect(last.node.channel(7n)!.state).toBe('open');
});

test('one that was opened by hand and removed before anybody watched opens by itself no more', async () => {
  const unstarted = await byHand([openingOf(7n)], [7n]);
  await unstarted.node.removeChannels([7n]);
  const rig = await LedgerRig.start({ autoOpen: true }, unstarted);
  rig.node.unknownChannel = 1;
  await rig.pass(60);
  expect(rig.node.channel(7n)).toBeUndefined();
});

test('a kill between what is stored of a channel and its opening is no removal: it opens by itself', async () => {
  const rig = await LedgerRig.start({ autoOpen: true });
  rig.node.openChannels = () => new Promise(() => {});
  rig.ledger.put(idOf(7n), ledgerChannel(7n));
  await rig.pass(10);
  expect(rig.service.state(7n)).toBeDefined();
  const next = await LedgerRig.start({ autoOpen: true }, rig);
  await next.pass(60);
  expect(next.node.channel(7n)).toBeDefined();
});
