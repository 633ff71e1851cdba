/** Opening channels from the ledger: what is taken from it, and what is refused with which reason. Test's thread. */
import { expect, test, vi } from 'vitest';
import { Secp256k1Signer } from '../../../src/client/keys/signer.ts';
import { LedgerRig } from '../../support/ledger-rig.ts';
import { openingOf } from '../../support/wire.ts';

const OTHER_ACCOUNT = 'rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe';
const otherKey = new Secp256k1Signer(new Uint8Array(32).fill(9)).publicKey;
const refused = (message: RegExp) => ({ code: 'LEDGER_REFUSED', message: expect.stringMatching(message) });

test('a channel is opened with what a validated ledger says of it', async () => {
  const rig = await LedgerRig.start();
  const opening = vi.spyOn(rig.node, 'openChannels');
  const now = rig.clock.seconds;
  const channel = await rig.open(7n, { amount: 5_000n, expiration: now + 90_000, cancelAfter: now + 80_000 });
  expect(channel).toMatchObject({ channelId: 7n, capacity: 5_000n, committed: 0n, profile: 'xrpl', state: 'open' });
  expect(channel.expiresAt).toBe(now + 80_000);
  expect(channel.publicKey).toEqual(openingOf(7n).publicKey);
  expect(rig.service.state(7n)).toMatchObject({ deposited: 5_000n, redeemed: 0n, settleDelay: 3_600, exists: true });
  // (a) The deposit is all that the ledger can pay, from the first moment on: no claim over it gets in before a later look.
  expect(opening).toHaveBeenCalledWith([expect.objectContaining({ capacity: 5_000n })]);
  expect(rig.judge(7n, 5_000n)).toBe('ADMITTED');
  expect(rig.judge(7n, 5_001n)).toBe('OVER_CAPACITY');
  expect(await rig.service.openFromLedger(channel.ledgerChannelId)).toEqual(channel);
});

test('(b) what the ledger has paid out already is no payment: only more is accepted', async () => {
  const rig = await LedgerRig.start();
  const opening = vi.spyOn(rig.node, 'openChannels');
  const channel = await rig.open(7n, { amount: 5_000n, balance: 2_000n });
  // From the first moment on, not by a change that comes after it.
  expect(opening).toHaveBeenCalledWith([expect.objectContaining({ capacity: 5_000n, committed: 2_000n })]);
  expect(channel.committed).toBe(2_000n);
  expect(rig.judge(7n, 2_000n)).toBe('ALREADY');
  expect(rig.judge(7n, 2_001n)).toBe('ADMITTED');
  // A service may not spend what was paid elsewhere.
  expect(rig.raised(7n)).toBe(2_000n);
});

test('a channel that is not on the ledger, or whose claims would be worth nothing, is refused with the reason', async () => {
  const rig = await LedgerRig.start();
  const now = rig.clock.seconds;
  await expect(rig.service.openFromLedger(openingOf(1n).ledgerChannelId)).rejects.toMatchObject(
    refused(/expected it in validated ledger \d+, got none/),
  );
  const cases: [Parameters<LedgerRig['open']>[1], RegExp][] = [
    [{ destination: OTHER_ACCOUNT }, /expected one that pays rHb9\S+, got one that pays rPT1/],
    [{ settleDelay: 3_599 }, /expected a SettleDelay of at least 3600 s, got 3599 s/],
    // The ledger adds it to the time in 32 bits: a payer's close would end the channel at once.
    [{ settleDelay: 0xffff_ffff }, /expected a SettleDelay of at most 315360000 s, got 4294967295 s/],
    [{ balance: 1_000_000n }, /expected drops that are not paid out, got all 1000000 paid/],
    [{ expiration: now + 600 }, /expected one that ends more than 600 s from now, got one that ends at/],
    [{ cancelAfter: now - 5 }, /expected one that ends more than 600 s from now/],
  ];
  for (const [index, [fields, reason]] of cases.entries()) {
    const channelId = BigInt(index + 2);
    await expect(rig.open(channelId, fields)).rejects.toMatchObject(refused(reason));
    expect(rig.node.channel(channelId)).toBeUndefined();
    expect(rig.service.state(channelId)).toBeUndefined();
  }
});

test('a channel that is cancelled after the last second that a row can hold ends with that second', async () => {
  const rig = await LedgerRig.start();
  const channel = await rig.open(7n, { cancelAfter: 0xffff_ffff + 946_684_800 });
  expect(channel.expiresAt).toBe(0xffff_ffff);
  expect(rig.judge(7n, 1n)).toBe('ADMITTED');
});

test('(e) a channel that is open by hand is taken under watch; with another key than on the ledger it is refused', async () => {
  const rig = await LedgerRig.start();
  await rig.node.openChannels([openingOf(7n, { capacity: 100n }), { ...openingOf(8n), publicKey: otherKey }]);
  rig.commit(7n, 60n);
  expect(await rig.open(7n, { amount: 5_000n })).toMatchObject({ capacity: 5_000n, committed: 60n });
  await expect(rig.open(8n)).rejects.toMatchObject(
    refused(/expected the key [0-9A-F]{66}, with which it is open, got/),
  );
  expect(rig.service.state(8n)).toBeUndefined();
});

test('a handle of another channel, a link channel and a closed channel are refused', async () => {
  const rig = await LedgerRig.start();
  const ledgerChannelId = openingOf(1n).ledgerChannelId.fill(0xee, 8);
  await rig.node.openChannels([
    { ...openingOf(1n), ledgerChannelId },
    openingOf(2n, { profile: 'link' }),
    openingOf(3n),
  ]);
  await rig.node.closeChannel(3n);
  await expect(rig.open(1n)).rejects.toMatchObject(refused(/expected a free handle, got 1/));
  await expect(rig.open(2n)).rejects.toMatchObject(refused(/expected it open with profile xrpl, got link/));
  await expect(rig.open(3n)).rejects.toMatchObject(refused(/expected an open channel, got one that is closed here/));
});

test('the network that was seen first is the only one that is believed', async () => {
  const rig = await LedgerRig.start();
  await rig.open(7n);
  await rig.service.stop();
  const elsewhere = new LedgerRig({}, rig);
  elsewhere.ledger.networkId = 1;
  await expect(elsewhere.service.start()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/expected a server of network 0, .*got one of network 1/),
  });
  expect(() => new LedgerRig({ networkId: 1 }, rig)).toThrow(/ledger-network: expected 0, .*got 1/);
});

test('a server of another network that is reached later is not believed', async () => {
  const rig = await LedgerRig.start();
  await rig.open(7n);
  rig.connection.url = 'wss://fake-2';
  rig.ledger.networkId = 1;
  await rig.change(7n, { amount: 9_000_000n });
  expect(rig.node.channel(7n)!.capacity).toBe(1_000_000n);
  expect(rig.service.health().failure).toMatch(/expected a server of network 0/);
  await expect(rig.open(8n)).rejects.toMatchObject(refused(/network/));
});

test('a kill between what is stored and what is done loses neither, and raises nothing twice', async () => {
  const rig = await LedgerRig.start();
  await rig.open(7n, { amount: 5_000n });
  rig.commit(7n, 100n);
  await rig.node.checkpoint();
  rig.registry.failures = 1;
  await rig.change(7n, { balance: 300n });
  expect(rig.log.at(-1)).toMatch(/warn ledger: could not look at it, trying again/);
  const next = await LedgerRig.start({}, rig);
  expect(next.node.channel(7n)).toMatchObject({ committed: 300n });
  expect(next.raised(7n)).toBe(200n);
});

test('health tells the server, the network, the newest ledger and its age', async () => {
  const rig = await LedgerRig.start();
  await rig.open(7n);
  await rig.clock.advance(20);
  expect(rig.service.health()).toMatchObject({
    url: 'wss://fake-1',
    networkId: 0,
    ledgerIndex: rig.ledger.index,
    ageSeconds: 19,
    watched: 1,
    stale: 0,
    failure: null,
  });
  rig.connection.isReachable = false;
  await rig.pass(60);
  expect(rig.service.health()).toMatchObject({ url: null, failure: expect.stringMatching(/expected a server/) });
  await expect(rig.service.redeem(7n)).rejects.toMatchObject(refused(/expected a node with the wallet/));
});
