/** Claims held back while an identical one is in flight: their order, their bound, and the wrap of the ring's numbers. */
import { expect, test } from 'vitest';
import { DeferredClaims } from '../../../src/path/deferred-claims.ts';
import { SLOT_BYTES } from '../../../src/ring/arena.ts';
import { SLOT_SOURCE, SOURCE_BYTES } from '../../../src/ring/slot.ts';

const MAX = 1_024;
/** The claim and its source. */
const KEPT_BYTES = SLOT_SOURCE + SOURCE_BYTES;

function arenaOf(first: number): Uint8Array {
  return Uint8Array.from({ length: SLOT_BYTES }, (_, index) => (first + index) & 0xff);
}

test('the claim and its source come back as they were, first in, first out', () => {
  const deferred = new DeferredClaims();
  deferred.push(arenaOf(1), 0, 5);
  deferred.push(arenaOf(2), 0, 6);
  for (const first of [1, 2]) {
    const at = deferred.shift();
    const bytes = new Uint8Array(deferred.view.buffer, at, KEPT_BYTES);
    expect(bytes).toEqual(arenaOf(first).subarray(0, KEPT_BYTES));
  }
  expect(deferred.count).toBe(0);
});

test('a claim is due once its original is committed, also where the numbers begin anew', () => {
  for (const original of [5, 0xffff_ffff]) {
    const deferred = new DeferredClaims();
    deferred.push(arenaOf(1), 0, original);
    expect(deferred.isDue(original)).toBe(false);
    expect(deferred.isDue((original + 1) >>> 0)).toBe(true);
  }
});

test('there is room for so many and no more', () => {
  const deferred = new DeferredClaims();
  for (let count = 0; count < MAX; count++) expect(deferred.push(arenaOf(count), 0, count)).toBe(true);
  expect(deferred.push(arenaOf(0), 0, 0)).toBe(false);
  deferred.shift();
  expect(deferred.push(arenaOf(0), 0, 0)).toBe(true);
});
