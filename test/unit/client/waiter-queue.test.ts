/** The promises of a channel, against a sorted array of them. */
import { expect, it } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import { Waiter, WaiterQueue } from '../../../src/client/waiter-queue.ts';

const waiter = (amount: bigint, deadline = 1_000) =>
  new Waiter(
    { amount, startedAt: 0, deadline },
    () => {},
    () => {},
  );

function coveredBy(queue: WaiterQueue, amount: bigint): bigint[] {
  const taken: bigint[] = [];
  for (let next = queue.takeCovered(amount, 0); next !== undefined; next = queue.takeCovered(amount, 0))
    taken.push(next.amount);
  return taken;
}

it('an ack takes the lowest amounts first, in whatever order they came', () => {
  const queue = new WaiterQueue();
  for (const amount of [5n, 3n, 9n, 3n, 1n]) queue.add(waiter(amount), undefined);
  expect([queue.length, queue.highestAmount]).toEqual([5, 9n]);
  expect(coveredBy(queue, 4n)).toEqual([1n, 3n, 3n]);
  expect(coveredBy(queue, 4n)).toEqual([]);
  expect(coveredBy(queue, 9n)).toEqual([5n, 9n]);
  expect([queue.length, queue.highestAmount, queue.earliestDeadline]).toEqual([0, 0n, Number.POSITIVE_INFINITY]);
});

it('takes one out anywhere, once', () => {
  const queue = new WaiterQueue();
  const all = [1n, 2n, 3n].map((amount) => waiter(amount));
  for (const one of all) queue.add(one, 4);
  for (const index of [1, 0, 2]) {
    expect(queue.remove(all[index]!)).toBe(true);
    expect(queue.remove(all[index]!)).toBe(false);
  }
  expect([queue.length, queue.highestAmount]).toEqual([0, 0n]);
  queue.add(all[1]!, 5);
  expect(coveredBy(queue, 2n)).toEqual([2n]);
});

it('a claim that is sent is that of all who waited for one, and of no others', () => {
  const queue = new WaiterQueue();
  queue.add(waiter(1n), 10);
  queue.add(waiter(3n), undefined);
  queue.add(waiter(2n), undefined);
  queue.markSent(11);
  queue.markSent(12);
  expect(queue.takeRefused(10, STATUS.UNKNOWN_CHANNEL, 0n).map(({ amount }) => amount)).toEqual([1n]);
  expect(queue.takeUnsigned(10).map(({ amount, sequence }) => [amount, sequence])).toEqual([
    [2n, 11],
    [3n, 11],
  ]);
});

it('those that expired go, and the earliest deadline of the others is known', () => {
  const queue = new WaiterQueue();
  for (const [amount, deadline] of [
    [1n, 50],
    [2n, 10],
    [3n, 30],
  ] as const)
    queue.add(waiter(amount, deadline), undefined);
  expect(queue.earliestDeadline).toBe(10);
  expect(queue.takeExpired(30).map(({ amount }) => amount)).toEqual([2n, 3n]);
  expect(queue.earliestDeadline).toBe(50);
  queue.markSent(1);
  expect(queue.takeAll().map(({ amount }) => amount)).toEqual([1n]);
});
