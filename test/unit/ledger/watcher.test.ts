/** What a channel's changes on the ledger do to it here, and what happens while the ledger is not seen. Test's thread. */
import { expect, test } from 'vitest';
import type { ChannelOpening } from '../../../src/channel/changes.ts';
import { Secp256k1Signer } from '../../../src/client/keys/signer.ts';
import { settle } from '../../support/fake-ledger.ts';
import { LedgerRig, ledgerChannel, PAYEE } from '../../support/ledger-rig.ts';
import { openingOf } from '../../support/wire.ts';

const otherKey = new Secp256k1Signer(new Uint8Array(32).fill(9)).publicKey;

/** A channel of 1,000,000 drops with a SettleDelay of an hour: a redemption has its last 600 s to itself. */
async function opened(): Promise<LedgerRig> {
  const rig = await LedgerRig.start();
  await rig.open(7n);
  return rig;
}

test('a deposit raises the capacity as soon as it is validated', async () => {
  const rig = await opened();
  await rig.change(7n, { amount: 3_000_000n });
  expect(rig.node.channel(7n)!.capacity).toBe(3_000_000n);
  expect(rig.judge(7n, 3_000_000n)).toBe('ADMITTED');
});

test('(c) what no subscription told is found by the next poll', async () => {
  const rig = await opened();
  rig.connection.isSubscribed = false;
  await rig.change(7n, { expiration: rig.clock.seconds + 3_600 });
  expect(rig.node.channel(7n)!.expiresAt).toBe(0);
  await rig.pass(60);
  expect(rig.node.channel(7n)!.expiresAt).toBe(rig.clock.seconds - 60 + 3_600);
});

test("a payer's close shrinks the expiry at once; claims that could not be redeemed in time are refused", async () => {
  const rig = await opened();
  const end = rig.clock.seconds + 3_600;
  await rig.change(7n, { expiration: end });
  expect(rig.node.channel(7n)!.expiresAt).toBe(end);
  for (let minutes = 0; minutes < 49; minutes++) await rig.pass(60);
  expect(rig.judge(7n, 1n)).toBe('ADMITTED');
  await rig.pass(60);
  expect(rig.judge(7n, 1n)).toBe('CHANNEL_CLOSED');
  // The payer changes his mind.
  await rig.change(7n, { expiration: 0 });
  expect(rig.node.channel(7n)!.expiresAt).toBe(0);
  expect(rig.judge(7n, 1n)).toBe('ADMITTED');
});

test("a payer's close is seen while a list of many pages is on its way; the list, which is older, takes nothing back", async () => {
  const rig = await opened();
  const { channelsTo } = rig.connection;
  const list = await channelsTo.call(rig.connection, PAYEE);
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  rig.connection.channelsTo = async () => {
    await answered;
    return list;
  };
  await rig.pass(60);
  const end = rig.clock.seconds + 3_600;
  await rig.change(7n, { expiration: end });
  await rig.clock.advance(1);
  expect(rig.node.channel(7n)!.expiresAt).toBe(end);
  answer();
  await settle();
  expect(rig.node.channel(7n)!.expiresAt).toBe(end);
});

test('a channel that is gone from the ledger is closed', async () => {
  const rig = await opened();
  await rig.change(7n, undefined);
  expect(rig.node.channel(7n)!.state).toBe('closed');
  expect(rig.service.state(7n)!.exists).toBe(false);
  expect(rig.judge(7n, 1n)).toBe('CHANNEL_CLOSED');
});

test('a channel that is gone is found by a poll too, and one that the list lacks is not taken for gone', async () => {
  const rig = await opened();
  rig.connection.isSubscribed = false;
  await rig.change(7n, {});
  // As a channel from before lists had what pays an account.
  const { channelsTo } = rig.connection;
  rig.connection.channelsTo = async (account) => ({
    ...(await channelsTo.call(rig.connection, account)),
    channels: [],
  });
  await rig.pass(60);
  expect(rig.node.channel(7n)!.state).toBe('open');
  await rig.change(7n, undefined);
  await rig.pass(60);
  expect(rig.node.channel(7n)!.state).toBe('closed');
});

test('(b) a payout that runs ahead of what is committed is believed, and told loudly', async () => {
  const rig = await opened();
  rig.commit(7n, 400n);
  await rig.change(7n, { balance: 400n });
  expect(rig.log.filter((line) => line.startsWith('error'))).toEqual([]);
  expect(rig.node.channel(7n)!.signature).not.toEqual(new Uint8Array(64));
  await rig.change(7n, { balance: 900n });
  expect(rig.log.at(-1)).toMatch(/error ledger: channel 7 .*expected at most the 400 drops .*got 900/);
  expect(rig.judge(7n, 900n)).toBe('ALREADY');
  expect(rig.judge(7n, 901n)).toBe('ADMITTED');
  // The claim of 400 drops is worth nothing any more, and none of 900 is here.
  expect(rig.node.channel(7n)).toMatchObject({ committed: 900n, signature: new Uint8Array(64) });
  expect(rig.raised(7n)).toBe(500n);
  rig.commit(7n, 1_000n);
  await rig.change(7n, { balance: 1_500n });
  expect(rig.raised(7n)).toBe(1_000n);
});

test('a look that fails is made again, not forgotten', async () => {
  const rig = await opened();
  rig.connection.failures = 2;
  await rig.change(7n, { expiration: rig.clock.seconds + 3_600 });
  expect(rig.node.channel(7n)!.expiresAt).toBe(0);
  expect(rig.service.health().failure).toMatch(/expected a server/);
  await rig.clock.advance(5);
  await rig.clock.advance(5);
  expect(rig.node.channel(7n)!.expiresAt).toBe(rig.clock.seconds - 10 + 3_600);
  expect(rig.service.health().failure).toBeNull();
});

test('a look that fails with one channel at every poll does not end the leases of the others', async () => {
  const rig = await opened();
  await rig.open(8n);
  rig.ledger.channels.delete(Buffer.from(openingOf(7n).ledgerChannelId).toString('hex'));
  rig.connection.channel = () => Promise.reject(new Error('no answer for this one'));
  rig.connection.touch(openingOf(7n).ledgerChannelId);
  for (let minutes = 0; minutes < 55; minutes++) await rig.pass(60);
  expect(rig.service.health().failure).toMatch(/no answer for this one/);
  expect([rig.judge(7n, 1n), rig.judge(8n, 1n)]).toEqual(['CHANNEL_CLOSED', 'ADMITTED']);
});

test('what the disk had no room for is made good by the next look', async () => {
  const rig = await opened();
  rig.tables.failures = 1;
  await rig.change(7n, { expiration: rig.clock.seconds + 3_600, amount: 2_000_000n });
  expect(rig.node.channel(7n)!.capacity).toBe(1_000_000n);
  await rig.pass(5);
  expect(rig.node.channel(7n)!.capacity).toBe(2_000_000n);
  const next = await LedgerRig.start({}, rig);
  expect(next.service.state(7n)).toMatchObject({ expiration: rig.clock.seconds - 5 + 3_600, deposited: 2_000_000n });
});

test('an answer of a server that is behind tells nothing new, and extends nothing', async () => {
  const rig = await opened();
  const behind = { validated: rig.ledger.validated, channels: [...rig.ledger.channels.values()] };
  const end = rig.clock.seconds + 3_600;
  await rig.change(7n, { expiration: end, amount: 2_000_000n });
  rig.connection.behind = behind;
  await rig.pass(60);
  await rig.pass(60);
  expect(rig.node.channel(7n)).toMatchObject({ expiresAt: end, capacity: 2_000_000n });
});

test('(c) while the ledger is not seen for as long as SettleDelay allows, claims are refused; then they are accepted again', async () => {
  const rig = await opened();
  rig.connection.isReachable = false;
  for (let minutes = 0; minutes < 49; minutes++) await rig.pass(60);
  expect(rig.judge(7n, 1n)).toBe('ADMITTED');
  expect(rig.service.health().stale).toBe(0);
  await rig.pass(60);
  await rig.pass(60);
  expect(rig.judge(7n, 1n)).toBe('CHANNEL_CLOSED');
  expect(rig.service.health().stale).toBe(1);
  // The lease is not the channel's own expiry.
  expect(rig.node.channel(7n)!.expiresAt).toBe(0);
  rig.connection.isReachable = true;
  await rig.pass(60);
  expect(rig.judge(7n, 1n)).toBe('ADMITTED');
  await rig.clock.advance(1);
  expect(rig.service.health()).toMatchObject({ stale: 0, failure: null });
});

test('a restart while the ledger is not reached extends nothing', async () => {
  const rig = await opened();
  for (let minutes = 0; minutes < 30; minutes++) await rig.pass(60);
  rig.connection.isReachable = false;
  await rig.pass(2_400);
  expect(rig.judge(7n, 1n)).toBe('ADMITTED');
  const next = new LedgerRig({}, rig);
  next.connection.isReachable = false;
  // The last poll's time was stored, for all channels together.
  expect(next.judge(7n, 1n)).toBe('ADMITTED');
  await next.clock.advance(700);
  const last = new LedgerRig({}, next);
  last.connection.isReachable = false;
  await last.service.start();
  await settle();
  expect(last.judge(7n, 1n)).toBe('CHANNEL_CLOSED');
  last.connection.isReachable = true;
  await last.pass(60);
  expect(last.judge(7n, 1n)).toBe('ADMITTED');
});

test('polls for another account extend no lease, also not by a restart', async () => {
  const rig = await opened();
  await rig.pass(60);
  const other = await LedgerRig.start({ account: 'rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe' }, rig);
  const theirs = ledgerChannel(8n, { destination: 'rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe' });
  other.ledger.put(theirs.ledgerChannelId, theirs);
  await other.service.openFromLedger(theirs.ledgerChannelId);
  for (let minutes = 0; minutes < 55; minutes++) await other.pass(60);
  expect([other.judge(7n, 1n), other.judge(8n, 1n)]).toEqual(['CHANNEL_CLOSED', 'ADMITTED']);
  const next = new LedgerRig({ account: 'rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe' }, other);
  expect([next.judge(7n, 1n), next.judge(8n, 1n)]).toEqual(['CHANNEL_CLOSED', 'ADMITTED']);
});

test('a start whose clock was set back before what was seen last ends its leases no later', async () => {
  const rig = await opened();
  await rig.pass(60);
  rig.connection.isReachable = false;
  await rig.clock.advance(-1_860);
  const next = new LedgerRig({}, rig);
  next.connection.isReachable = false;
  await next.service.start();
  await next.clock.advance(2_950);
  expect(next.judge(7n, 1n)).toBe('ADMITTED');
  await next.clock.advance(100);
  expect(next.judge(7n, 1n)).toBe('CHANNEL_CLOSED');
});

test('a channel that is gone from the ledger and removed here is not watched any more', async () => {
  const rig = await opened();
  await rig.change(7n, undefined);
  expect(rig.service.health().watched).toBe(1);
  await rig.node.removeChannels([7n]);
  await rig.pass(60);
  expect(rig.service.health().watched).toBe(0);
  expect([...rig.tables.entries('ledger-channels')]).toEqual([]);
});

test('a channel that is removed and opened again by hand has no lease', async () => {
  const rig = await opened();
  const opening = openingOf(7n);
  await rig.node.removeChannels([7n]);
  await rig.pass(60);
  expect(rig.service.health().watched).toBe(0);
  await rig.node.openChannels([opening]);
  await rig.pass(7_200);
  expect(rig.node.channel(7n)!.expiresAt).toBe(opening.expiresAt);
  expect(rig.judge(7n, 1n)).toBe('ADMITTED');
});

test('a lease is not stored as the expiry of its channel', async () => {
  const rig = await opened();
  rig.commit(7n, 5n);
  await rig.node.checkpoint();
  await rig.node.updateChannel(7n, { capacity: 2_000_000n });
  const next = new LedgerRig({}, rig);
  expect(next.node.channel(7n)).toMatchObject({ expiresAt: 0, committed: 5n });
});

test("a machine whose clock is behind the ledger's ends its leases by the ledger's", async () => {
  const rig = await LedgerRig.start();
  const channel = ledgerChannel(7n);
  await rig.clock.advance(1_000);
  rig.ledger.put(channel.ledgerChannelId, channel);
  await rig.service.openFromLedger(channel.ledgerChannelId);
  // The same, seen by a node that is 1,000 s behind.
  const late = await LedgerRig.start();
  late.ledger.channels.set('7', channel);
  const { validated } = rig.ledger;
  late.connection.behind = { validated, channels: [channel] };
  await late.service.openFromLedger(channel.ledgerChannelId);
  late.connection.isReachable = false;
  await late.clock.advance(2_999);
  expect(late.judge(7n, 1n)).toBe('ADMITTED');
  await late.clock.advance(1);
  expect(late.judge(7n, 1n)).toBe('CHANNEL_CLOSED');
});

test('a channel that the operator removed is watched no longer', async () => {
  const rig = await opened();
  await rig.node.removeChannels([7n]);
  await rig.pass(60);
  expect(rig.service.state(7n)).toBeUndefined();
  expect([...rig.tables.entries('ledger-channels')]).toEqual([]);
});

test('an account other than the one before does not extend the channels of that one', async () => {
  const rig = await opened();
  const next = await LedgerRig.start({ account: 'rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe' }, rig);
  expect(next.log[0]).toMatch(/warn ledger: 1 channels pay another account/);
  for (let minutes = 0; minutes < 51; minutes++) await next.pass(60);
  expect(next.judge(7n, 1n)).toBe('CHANNEL_CLOSED');
});

test('a deposit below what is committed here is told, and no more is accepted', async () => {
  const rig = await LedgerRig.start();
  await rig.node.openChannels([openingOf(7n, { capacity: 9_000_000n })]);
  rig.commit(7n, 5_000_000n);
  await rig.open(7n);
  expect(rig.log.some((line) => /error .*expected a deposit of at least the 5000000 drops committed/.test(line))).toBe(
    true,
  );
  expect(rig.judge(7n, 5_000_001n)).toBe('OVER_CAPACITY');
});

test("an operator's lower capacity and earlier expiry count beside the ledger's, also after a restart, until they are raised again", async () => {
  const rig = await opened();
  await rig.node.updateChannel(7n, { capacity: 400n });
  await rig.change(7n, { amount: 2_000_000n });
  expect(rig.node.channel(7n)).toMatchObject({ capacity: 400n, expiresAt: 0 });
  const end = rig.clock.seconds + 7_200;
  await rig.node.updateChannel(7n, { expiresAt: end });
  await rig.pass(60);
  const next = await LedgerRig.start({}, rig);
  await next.change(7n, { amount: 3_000_000n, expiration: end + 3_600 });
  expect(next.node.channel(7n)).toMatchObject({ capacity: 400n, expiresAt: end });
  // The ledger's own earlier end counts.
  await next.change(7n, { expiration: end - 60 });
  expect(next.node.channel(7n)).toMatchObject({ expiresAt: end - 60 });
  await next.change(7n, { expiration: 0 });
  expect(next.node.channel(7n)).toMatchObject({ expiresAt: end });
  await next.node.updateChannel(7n, { capacity: 9_000_000n, expiresAt: 0 });
  await next.pass(60);
  expect(next.node.channel(7n)).toMatchObject({ capacity: 3_000_000n, expiresAt: 0 });
  await next.change(7n, { amount: 4_000_000n, expiration: end + 3_600 });
  expect(next.node.channel(7n)).toMatchObject({ capacity: 4_000_000n, expiresAt: end + 3_600 });
});

/** Channel 7 was watched; then, while nobody watched, it was removed and something else was opened by hand. */
async function openedAnew(opening: ChannelOpening): Promise<LedgerRig> {
  const rig = await opened();
  await rig.node.removeChannels([7n]);
  const unwatched = new LedgerRig({}, rig);
  await unwatched.node.openChannels([opening]);
  return unwatched;
}

test('a channel that is opened again with another key than on the ledger accepts no claim', async () => {
  const unwatched = await openedAnew({ ...openingOf(7n), publicKey: otherKey });
  expect(unwatched.judge(7n, 1n)).toBe('ADMITTED');
  const rig = new LedgerRig({}, unwatched);
  expect(rig.judge(7n, 1n)).toBe('CHANNEL_CLOSED');
  await rig.service.start();
  await rig.pass(60);
  await rig.pass(60);
  expect(rig.judge(7n, 1n)).toBe('CHANNEL_CLOSED');
  expect(rig.log.filter((line) => /error .*expected the key [0-9A-F]{66} of the ledger, got/.test(line))).toHaveLength(
    1,
  );
});

test('a handle that went to a channel of another ledger id does not follow the channel that had it', async () => {
  const ledgerChannelId = openingOf(7n).ledgerChannelId.fill(0xee, 8);
  const rig = await LedgerRig.start({}, await openedAnew({ ...openingOf(7n), ledgerChannelId }));
  await rig.change(7n, { amount: 2_000_000n, expiration: rig.clock.seconds + 60 });
  expect(rig.node.channel(7n)).toMatchObject({ capacity: 1_000_000n, expiresAt: 0 });
  expect(rig.judge(7n, 1n)).toBe('ADMITTED');
  expect(rig.log[0]).toMatch(/error ledger: channel 7 .*its handle is now that of channel 0{15}7(EE){24}:/);
});
