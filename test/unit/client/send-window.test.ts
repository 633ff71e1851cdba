/** How the limit on unacknowledged claims falls and rises. */
import { expect, test } from 'vitest';
import { SendWindow } from '../../../src/client/send-window.ts';

test('there is room up to the limit and no further', () => {
  const window = new SendWindow(100);
  window.used = 99;
  expect(window.hasRoom).toBe(true);
  window.used = 100;
  expect(window.hasRoom).toBe(false);
});

test('a burst of OVERLOADED halves the limit once a timeout, never below one datagram', () => {
  const window = new SendWindow(100);
  window.shrink(0, 50);
  window.shrink(49, 50);
  expect(window.limit).toBe(50);
  for (let now = 50; now <= 1_000; now += 50) window.shrink(now, 50);
  expect(window.limit).toBe(15);
});

test('acks let it grow again, up to where it began', () => {
  const window = new SendWindow(100);
  window.shrink(0, 50);
  window.grow(8);
  expect(window.limit).toBe(51);
  window.grow(10_000);
  expect(window.limit).toBe(100);
});

test('a window smaller than a datagram is never made larger by shrinking', () => {
  const window = new SendWindow(4);
  window.shrink(0, 50);
  expect(window.limit).toBe(4);
});
