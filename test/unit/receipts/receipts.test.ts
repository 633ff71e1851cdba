/** What a node signs of committed amounts, by a clock that the test turns: when there is a tree, what is in it, and every limit. */
import { expect, test } from 'vitest';
import { verifyReceipt } from '../../../src/client/verify-receipt.ts';
import { ANSWERS_PER_SECOND_MAX, ASKED_MAX, GROWN_MAX, INTERVAL_MS } from '../../../src/receipts/receipts.ts';
import { ledgerIdOf, NODE_KEY, receiptRig, settled } from '../../support/receipts.ts';

const KEY = { key: NODE_KEY.publicKey };

test('the first who ask share a tree at once; whoever comes later waits for the next interval', async () => {
  const { receipts, source, clock } = receiptRig();
  source.grow([1n, 100n], [2n, 200n], [3n, 300n]);
  const [one, two] = await Promise.all([receipts.receipt(1n), receipts.receipt(2n, 150n)]);
  expect(one).toMatchObject({ amount: '100', leaves: 2, time: clock.wall() });
  // What was asked about, and nothing of the 200 that are committed.
  expect(two).toMatchObject({ amount: '150', leaves: 2, root: one.root, signature: one.signature });
  await verifyReceipt(one, { ...KEY, ledgerChannelId: ledgerIdOf(1n), amount: 100n });
  await verifyReceipt(two, { ...KEY, ledgerChannelId: ledgerIdOf(2n), amount: 150n });
  let late: unknown;
  void receipts.receipt(3n).then((receipt) => {
    late = receipt;
  });
  clock.advance(INTERVAL_MS - 1);
  await settled();
  expect(late).toBeUndefined();
  clock.advance(1);
  await settled();
  expect(late).toMatchObject({ amount: '300', leaves: 1 });
  expect(receipts.figures).toMatchObject({ roots: 2, leaves: 3, given: 3, notYet: 0, busy: 0, failed: 0, leftOut: 0 });
});

test('never more than is durable: an amount that comes within the interval is signed, another is notYet', async () => {
  const { receipts, source, clock } = receiptRig();
  source.grow([1n, 100n]);
  const early = receipts.receipt(1n, 101n);
  const never = receipts.receipt(1n, 1_000n);
  const refused = expect(never).rejects.toMatchObject({ code: 'RECEIPT_NOT_YET', details: { amount: '1000' } });
  await settled();
  source.grow([1n, 101n]);
  clock.advance(INTERVAL_MS);
  expect(await early).toMatchObject({ amount: '101' });
  await refused;
  // The refusal says nothing of what is committed.
  await never.catch(({ message }) => expect(message).not.toContain('101'));
  expect(receipts.figures).toMatchObject({ notYet: 1 });
  expect(await receipts.receipt(9n).catch(({ code }) => code)).toBe('CHANNEL_UNKNOWN');
});

test('channels that grow are under the next root, so who asks for one has its receipt at once', async () => {
  const { receipts, source, clock } = receiptRig();
  source.grow([1n, 1n], [2n, 2n], [3n, 3n]);
  await receipts.receipt(1n);
  source.grow([2n, 20n], [3n, 30n]);
  clock.advance(INTERVAL_MS);
  await settled();
  const receipt = await receipts.receipt(3n);
  expect(receipt).toMatchObject({ amount: '30', leaves: 2, time: clock.wall() });
  await verifyReceipt(receipt, KEY);
  expect(receipts.figures).toMatchObject({ roots: 2, leaves: 3 });
  // It has grown since: the older amount is no answer to what is committed.
  source.grow([3n, 31n]);
  const newer = receipts.receipt(3n);
  clock.advance(INTERVAL_MS);
  expect(await newer).toMatchObject({ amount: '31' });
});

test('while nobody asks nothing is signed, and the claim path is asked for nothing', async () => {
  const { receipts, source, clock } = receiptRig({
    publicKey: NODE_KEY.publicKey,
    signMessage: () => new Uint8Array(64),
  });
  source.grow([1n, 1n]);
  expect([source.listeners.size, clock.pending]).toEqual([0, 0]);
  await receipts.receipt(1n);
  expect([source.listeners.size, clock.pending]).toEqual([1, 1]);
  for (let interval = 0; interval < 101; interval++) {
    source.grow([1n, BigInt(interval + 2)]);
    clock.advance(INTERVAL_MS);
    await settled();
  }
  expect([source.listeners.size, clock.pending]).toEqual([0, 0]);
  expect(receipts.figures.roots).toBe(101);
  expect(await receipts.receipt(1n)).toMatchObject({ amount: '102' });
});

test('a tree has so many that grew and so many that were asked for: leftOut and busy count the others', async () => {
  const { receipts, source, clock } = receiptRig();
  source.grow(...Array.from({ length: 3 * ASKED_MAX }, (_, at) => [BigInt(at), 1n] as const));
  await receipts.receipt(0n);
  source.grow(...Array.from({ length: GROWN_MAX + 10 }, (_, at) => [BigInt(at), 2n] as const));
  const asked = Array.from({ length: ASKED_MAX }, (_, at) => receipts.receipt(BigInt(2 * ASKED_MAX + at)));
  await expect(receipts.receipt(1n)).rejects.toMatchObject({ code: 'NODE_BUSY' });
  clock.advance(INTERVAL_MS);
  const given = await Promise.all(asked);
  expect(given[0]).toMatchObject({ leaves: ASKED_MAX + GROWN_MAX, leaf: 0 });
  expect(receipts.figures).toMatchObject({ leftOut: 10, busy: 1 });
  // Who grew and found no room is there for the asking.
  const left = receipts.receipt(BigInt(GROWN_MAX + 5), 2n);
  clock.advance(INTERVAL_MS);
  await verifyReceipt(await left, KEY);
});

test('so many answers a second, those at once among them; then busy', async () => {
  const { receipts, source, clock } = receiptRig();
  source.grow([1n, 1n]);
  const first = await receipts.receipt(1n);
  for (let asked = 1; asked < ANSWERS_PER_SECOND_MAX; asked++) void receipts.receipt(1n);
  await expect(receipts.receipt(1n)).rejects.toMatchObject({ code: 'NODE_BUSY' });
  clock.advance(1_000);
  expect(await receipts.receipt(1n)).toEqual(first);
  expect(receipts.figures).toMatchObject({ busy: 1, roots: 1 });
});

test('the trees of a few intervals are kept, and no more', async () => {
  const { receipts, source, clock } = receiptRig();
  source.grow([1n, 1n]);
  const first = await receipts.receipt(1n, 1n);
  const again = async () => {
    const receipt = receipts.receipt(1n, 1n);
    await settled();
    clock.advance(INTERVAL_MS);
    return await receipt;
  };
  for (let tree = 0; tree < 7; tree++) {
    source.grow([2n, BigInt(tree)]);
    clock.advance(INTERVAL_MS);
    await settled();
  }
  expect(await again()).toEqual(first);
  source.grow([2n, 99n]);
  clock.advance(INTERVAL_MS);
  await settled();
  expect((await again()).time).toBeGreaterThan(first.time);
});

test('a slow key holds back the next tree and nothing else; one that fails is said, counted as failed and tried again', async () => {
  const waiting: { sign: () => void; fail: (error: Error) => void }[] = [];
  const { receipts, source, clock } = receiptRig({
    publicKey: NODE_KEY.publicKey,
    signMessage: (message) =>
      new Promise((resolve, reject) => {
        waiting.push({ sign: () => resolve(NODE_KEY.signMessage(message)), fail: reject });
      }),
  });
  source.grow([1n, 1n], [2n, 2n]);
  const first = receipts.receipt(1n);
  const lost = expect(first).rejects.toThrow('the token is gone');
  await settled();
  const second = receipts.receipt(2n);
  clock.advance(5 * INTERVAL_MS);
  await settled();
  expect(waiting.length).toBe(1);
  waiting[0]!.fail(new Error('the token is gone'));
  await lost;
  clock.advance(INTERVAL_MS);
  await settled();
  waiting[1]!.sign();
  await verifyReceipt(await second, KEY);
  expect(receipts.figures).toMatchObject({ failed: 1, roots: 1 });
});

test('a stop tells who waits, waits for the signature under way, and closes the key', async () => {
  let sign = () => {};
  const closed: string[] = [];
  const { receipts, source, clock } = receiptRig({
    publicKey: NODE_KEY.publicKey,
    signMessage: (message) =>
      new Promise((resolve) => {
        sign = () => resolve(NODE_KEY.signMessage(message));
      }),
    close: async () => void closed.push('key'),
  });
  source.grow([1n, 1n], [2n, 2n]);
  const signing = receipts.receipt(1n);
  await settled();
  const waiting = expect(receipts.receipt(2n)).rejects.toMatchObject({ code: 'NODE_STOPPING' });
  const stopped = receipts.stop();
  await waiting;
  expect(closed).toEqual([]);
  sign();
  await verifyReceipt(await signing, KEY);
  await stopped;
  expect(closed).toEqual(['key']);
  expect([source.listeners.size, clock.pending]).toEqual([0, 0]);
  await expect(receipts.receipt(1n)).rejects.toMatchObject({ code: 'NODE_STOPPING' });
});
