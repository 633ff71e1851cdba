/** The pool of frames in flight: entries never share a byte, also where the pool, its numbers and the ring's sequences go round. */
import { describe, expect, test } from 'vitest';
import { MERKLE_FRAME_BYTES_MAX } from '../../../protocol/layout.ts';
import { Arena, FRAME_BYTES_PER_SLOT } from '../../../src/ring/arena.ts';
import { ClaimRing, cursorWord } from '../../../src/ring/claim-ring.ts';
import { ENTRY_FRAME, FramePool } from '../../../src/ring/frame-pool.ts';
import { random } from '../../support/random.ts';

const SHAPE = { kernelBytes: 0, rings: 2, ringSlots: 64, ackSlots: 4, threads: 1, channelsMax: 4, hasFrames: true };
const POOL_BYTES = SHAPE.ringSlots * FRAME_BYTES_PER_SLOT;
const FRAME_BYTES_MIN = 100;
/** Of such a size an entry is a quarter of the pool. */
const QUARTER = POOL_BYTES / 4 - ENTRY_FRAME;
const RING = 1;

/** The pool of the second ring, whose sequences and entries begin with these numbers. */
function poolFrom(first: number, sequence = 0) {
  const arena = Arena.create(SHAPE);
  for (const line of [0, 1, 2]) Atomics.store(arena.ints, cursorWord(arena, RING, line), sequence | 0);
  const ring = new ClaimRing(arena, RING);
  const base = arena.plan.frames.offset + RING * POOL_BYTES;
  const pool = new FramePool(arena, RING, ring, first);
  let end = sequence;
  /** Takes a place with one leaf; where it begins in the pool, or -1. */
  const take = (size: number) => {
    const entry = pool.tryEntry(size);
    if (entry < 0) return -1;
    end = (end + 1) >>> 0;
    pool.push(end);
    return entry - base;
  };
  return { pool, base, take, release: (count: number) => ring.release((ring.committed + count) >>> 0) };
}

test('an entry is behind the one before it, and at the start again where the end is too near', () => {
  const { pool, take, release } = poolFrom(0);
  const quarter = POOL_BYTES / 4;
  expect([1, 2, 3].map(() => take(QUARTER))).toEqual([0, quarter, 2 * quarter]);
  // A quarter is left at the end; what is larger waits for the oldest ones.
  expect(take(2 * QUARTER)).toBe(-1);
  release(1);
  expect(take(QUARTER + 16)).toBe(-1);
  release(1);
  expect(take(QUARTER + 16)).toBe(0);
  // From there the oldest one in flight is the bound, to the byte.
  expect(take(QUARTER)).toBe(-1);
  expect(take(QUARTER - 16)).toBe(quarter + 16);
  expect(take(FRAME_BYTES_MIN)).toBe(-1);
  release(1);
  expect(take(FRAME_BYTES_MIN)).toBe(2 * quarter);
  release(3);
  expect([pool.isLive(2), pool.isLive(4), pool.isLive(5)]).toEqual([false, false, false]);
  expect(take(MERKLE_FRAME_BYTES_MAX)).toBe(0);
});

test('a place that is not taken is given again', () => {
  const { pool, take, release } = poolFrom(0);
  take(QUARTER);
  const place = pool.tryEntry(FRAME_BYTES_MIN);
  expect(pool.tryEntry(MERKLE_FRAME_BYTES_MAX)).toBe(place);
  expect(pool.next).toBe(1);
  release(1);
  expect(take(QUARTER)).toBe(0);
});

describe.each([
  ['0', 0, 0],
  ['their wrap at 2^32', 2 ** 32 - 40, 0],
  ["the wrap of the ring's sequences", 0, 2 ** 32 - 40],
])('numbers from %s', (_, first, sequence) => {
  test('frames of any size in any order of turns: none in flight is written over, and none is forgotten', () => {
    const from = random(11);
    const { pool, base, take, release } = poolFrom(first, sequence);
    let live: { number: number; start: number; end: number }[] = [];
    let taken = 0;
    let refused = 0;
    for (let turn = 0; turn < 800; turn++) {
      if (from.below(3) === 0 && live.length > 0) {
        const count = 1 + from.below(Math.min(3, live.length));
        release(count);
        live = live.slice(count);
      }
      const number = pool.next;
      const size = from.below(5) > 0 ? FRAME_BYTES_MIN : FRAME_BYTES_MIN + from.below(MERKLE_FRAME_BYTES_MAX - 100);
      const start = take(size);
      if (start < 0) {
        refused++;
        // Nothing is refused while the pool is empty, so a frame that waits is not lost.
        expect(live).not.toEqual([]);
        continue;
      }
      taken++;
      const end = start + ENTRY_FRAME + size;
      expect(end).toBeLessThanOrEqual(POOL_BYTES);
      expect(live.filter((other) => start < other.end && end > other.start)).toEqual([]);
      live.push({ number, start, end });
      expect(
        live.filter((entry) => !pool.isLive(entry.number) || pool.entry(entry.number) !== base + entry.start),
      ).toEqual([]);
      expect(pool.isLive(pool.next)).toBe(false);
      expect(pool.isLive((live[0]!.number - 1) >>> 0)).toBe(false);
    }
    expect([taken > 300, refused > 50]).toEqual([true, true]);
  });
});
