/** The heap of deadlines, compared with a sorted list on a manual clock. */
import { expect, test } from 'vitest';
import { DeadlineHeap, type HeapEntry } from '../../../src/client/deadline-heap.ts';
import { ManualClock } from '../../support/payer-fakes.ts';
import { random } from '../../support/random.ts';

function entry(): HeapEntry {
  return { heapIndex: -1, heapDeadline: 0 };
}

test('entries come up in the order of their deadlines, whatever the order they were set in', () => {
  const draw = random(7);
  const heap = new DeadlineHeap<HeapEntry>(new ManualClock(), () => {});
  const deadlines = Array.from({ length: 500 }, () => draw.below(1_000));
  for (const deadline of deadlines) heap.set(entry(), deadline);
  const seen: number[] = [];
  for (let due = heap.popDue(1_000); due !== undefined; due = heap.popDue(1_000)) seen.push(due.heapDeadline);
  expect(seen).toEqual(deadlines.sort((left, right) => left - right));
});

test('nothing comes up before its deadline', () => {
  const heap = new DeadlineHeap<HeapEntry>(new ManualClock(), () => {});
  const late = entry();
  heap.set(late, 10);
  expect(heap.popDue(9)).toBeUndefined();
  expect(heap.popDue(10)).toBe(late);
  expect(heap.popDue(10)).toBeUndefined();
});

test('an earlier deadline moves an entry, a later one leaves it where it is', () => {
  const heap = new DeadlineHeap<HeapEntry>(new ManualClock(), () => {});
  const [first, second] = [entry(), entry()];
  heap.set(first, 20);
  heap.set(second, 30);
  heap.set(second, 10);
  heap.set(first, 40);
  expect([heap.popDue(30), heap.popDue(30)]).toEqual([second, first]);
});
