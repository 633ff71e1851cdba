/** Channels that open by themselves once claims of unknown channels come: which, how often, and which not. Test's thread. */
import { expect, test, vi } from 'vitest';
import { settle } from '../../support/fake-ledger.ts';
import { LedgerRig, ledgerChannel } from '../../support/ledger-rig.ts';

const lists = (rig: LedgerRig) => rig.connection.asked.filter((name) => name === 'channelsTo').length;

/** Puts a channel on the ledger while nobody is told. */
function putQuietly(rig: LedgerRig, ...channels: ReturnType<typeof ledgerChannel>[]): void {
  rig.connection.isSubscribed = false;
  for (const channel of channels) rig.ledger.put(channel.ledgerChannelId, channel);
}

test('without --auto-open nothing opens by itself', async () => {
  const rig = await LedgerRig.start();
  putQuietly(rig, ledgerChannel(7n));
  rig.node.unknownChannel = 3;
  await rig.pass(60);
  await rig.pass(60);
  expect(rig.node.channel(7n)).toBeUndefined();
});

test('claims of an unknown channel bring it in within seconds', async () => {
  const rig = await LedgerRig.start({ autoOpen: true });
  await rig.pass(12);
  putQuietly(rig, ledgerChannel(7n, { amount: 77n }));
  rig.node.unknownChannel = 1;
  await rig.clock.advance(2);
  await rig.clock.advance(1);
  expect(rig.node.channel(7n)).toMatchObject({ capacity: 77n, state: 'open' });
  expect(rig.service.state(7n)).toMatchObject({ deposited: 77n });
});

test('whoever sends claims of made-up channels makes the node ask ever more rarely', async () => {
  const rig = await LedgerRig.start({ autoOpen: true });
  for (let second = 0; second < 600; second++) {
    rig.node.unknownChannel += 1_000;
    await rig.clock.advance(1);
  }
  // A poll a minute, and the few lists of the first minute.
  expect(lists(rig)).toBeLessThanOrEqual(22);
});

test('two channels of one handle are refused and told once; the others open', async () => {
  const rig = await LedgerRig.start({ autoOpen: true });
  const twin = ledgerChannel(7n);
  twin.ledgerChannelId = twin.ledgerChannelId.slice().fill(0xee, 8);
  putQuietly(rig, ledgerChannel(7n), twin, ledgerChannel(8n), ledgerChannel(9n, { settleDelay: 5 }));
  for (let minutes = 0; minutes < 4; minutes++) await rig.pass(60);
  expect(rig.node.channel(7n)).toBeUndefined();
  expect(rig.node.channel(9n)).toBeUndefined();
  expect(rig.node.channel(8n)).toBeDefined();
  expect(
    rig.log.filter((line) => line.includes('is not opened: its handle 7 is that of 1 more channels')),
  ).toHaveLength(1);
  expect(rig.log.filter((line) => line.includes('expected a SettleDelay'))).toHaveLength(1);
});

test('a channel that a transaction of this account made is opened without a claim', async () => {
  const rig = await LedgerRig.start({ autoOpen: true });
  await rig.pass(30);
  const channel = ledgerChannel(7n);
  rig.ledger.put(channel.ledgerChannelId, channel);
  await rig.clock.advance(10);
  expect(rig.node.channel(7n)).toBeDefined();
});

test('a full table is found out by one opening of a list, not by all of them', async () => {
  const rig = await LedgerRig.start({ autoOpen: true });
  await rig.pass(30);
  const opening = vi.spyOn(rig.node, 'openChannels').mockResolvedValue({
    opened: 0,
    unchanged: 0,
    refused: [{ index: 0, code: 'TABLE_FULL', message: 'expected room, got none' }],
  });
  putQuietly(rig, ...Array.from({ length: 300 }, (_, index) => ledgerChannel(BigInt(index + 7))));
  rig.node.unknownChannel = 1;
  await rig.clock.advance(30);
  await settle();
  expect(opening.mock.calls.length).toBe(1);
});
