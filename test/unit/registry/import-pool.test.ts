/** Pieces of several owners for a few workers: whose turn it is, and that a failure is its owner's alone. */
import { expect, test } from 'vitest';
import { FairQueue } from '../../../src/registry/import-pool.ts';

test('owners take turns, however many pieces each has brought', async () => {
  const order: string[] = [];
  const queue = new FairQueue<string, void>(1, async (piece) => void order.push(piece));
  const [many, one] = [{}, {}];
  await Promise.all([
    ...['a1', 'a2', 'a3'].map((piece) => queue.run(many, piece)),
    ...['b1', 'b2'].map((piece) => queue.run(one, piece)),
  ]);
  expect(order).toEqual(['a1', 'a2', 'b1', 'a3', 'b2']);
});

test('no more pieces are under way at once than there are workers', async () => {
  let underWay = 0;
  let most = 0;
  const queue = new FairQueue<number, void>(2, async () => {
    most = Math.max(most, ++underWay);
    await Promise.resolve();
    underWay--;
  });
  await Promise.all(Array.from({ length: 9 }, (_, index) => queue.run({}, index)));
  expect(most).toBe(2);
});

test('a piece that fails rejects for its owner, and the next one is taken', async () => {
  const queue = new FairQueue<boolean, string>(1, async (fails) => {
    if (fails) throw new Error('refused');
    return 'done';
  });
  const failing = queue.run({}, true);
  const next = queue.run({}, false);
  await expect(failing).rejects.toThrow('refused');
  await expect(next).resolves.toBe('done');
});
