/**
 * The claim ring, the ack ring and doorbells in one thread: full, empty, across the wrap of the cursors, several verifiers.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { DuplicateFilter } from '../../../src/path/duplicate-filter.ts';
import { AckRing } from '../../../src/ring/ack-ring.ts';
import { Arena, type ArenaShape } from '../../../src/ring/arena.ts';
import { ACK_READ_LINE, ACK_WRITTEN_LINE, ClaimRing, cursorWord } from '../../../src/ring/claim-ring.ts';
import { ControlWords, PHASE_DRAINED, PHASE_RUNNING, PHASE_STOPPING } from '../../../src/ring/control-words.ts';
import { Doorbell, Idle } from '../../../src/ring/doorbell.ts';
import { SLOT_ROW, SLOT_VERDICT, VERDICT_PENDING, VERDICT_VALID } from '../../../src/ring/slot.ts';
import { random } from '../../support/random.ts';

const SHAPE: ArenaShape = { kernelBytes: 0, rings: 2, ringSlots: 8, ackSlots: 4, threads: 1, channelsMax: 4 };
/** Cursors begin at 0, or so that they wrap within a few slots. */
const STARTS = [0, 2 ** 31 - 3, 2 ** 32 - 3];

function arenaAt(start: number, ring = 0): Arena {
  const arena = Arena.create(SHAPE);
  for (const line of [0, 1, 2, ACK_WRITTEN_LINE, ACK_READ_LINE])
    Atomics.store(arena.ints, cursorWord(arena, ring, line), start | 0);
  return arena;
}

function push(arena: Arena, ring: ClaimRing, mark: number): boolean {
  const slot = ring.tryNext();
  if (slot < 0) return false;
  arena.words[(slot + SLOT_ROW) >>> 2] = mark;
  ring.push();
  return true;
}

function judge(arena: Arena, ring: ClaimRing, sequence: number): void {
  Atomics.store(arena.ints, (ring.slot(sequence) + SLOT_VERDICT) >>> 2, VERDICT_VALID);
}

describe.each(STARTS)('claim ring with cursors from %i', (start) => {
  const at = (count: number) => (start + count) >>> 0;

  test('takes exactly its size, then refuses until a slot is freed', () => {
    const arena = arenaAt(start);
    const ring = new ClaimRing(arena, 0);
    for (let count = 0; count < 8; count++) expect(push(arena, ring, count)).toBe(true);
    expect(ring.tryNext()).toBe(-1);
    expect(ring.publish()).toBe(8);
    expect(ring.publish()).toBe(0);
    expect(ring.received).toBe(at(8));
    expect(ring.depth).toBe(8);
    expect(ring.tryNext()).toBe(-1);
    ring.release(at(3));
    expect(ring.depth).toBe(5);
    for (let count = 8; count < 11; count++) expect(push(arena, ring, count)).toBe(true);
    expect(ring.tryNext()).toBe(-1);
    const marks = Array.from({ length: 8 }, (_, index) => arena.words[(ring.slot(at(3 + index)) + SLOT_ROW) >>> 2]);
    expect(marks).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('is full after 2^32 slots that others filled as well', () => {
    const arena = arenaAt(start);
    const ring = new ClaimRing(arena, 0);
    // In steps no ring could take: what is remembered of the other cursor must not grow older than the sequence is long.
    for (let step = 1; step <= 256; step++) {
      ring.pushed(2 ** 24 - (step === 256 ? 8 : 0));
      ring.release(ring.next);
    }
    ring.pushed(8);
    expect([ring.room, ring.tryNext()]).toEqual([0, -1]);
  });

  test('nothing is seen before it is published, and a slot is pending again when it is used again', () => {
    const arena = arenaAt(start);
    const ring = new ClaimRing(arena, 0);
    const verifier = new ClaimRing(arena, 0);
    push(arena, ring, 1);
    expect(verifier.reserve(8)).toBe(0);
    expect(ring.depth).toBe(0);
    ring.publish();
    for (let round = 0; round < 20; round++) {
      expect(ring.verdict(at(round))).toBe(VERDICT_PENDING);
      expect(verifier.reserve(8)).toBe(1);
      expect(verifier.first).toBe(at(round));
      judge(arena, ring, verifier.first);
      expect(ring.verdict(at(round))).toBe(VERDICT_VALID);
      ring.release(at(round + 1));
      push(arena, ring, 1);
      ring.publish();
    }
  });

  test('verifiers share what was received without gap or overlap', () => {
    const arena = arenaAt(start);
    const ring = new ClaimRing(arena, 0);
    const verifiers = [new ClaimRing(arena, 0), new ClaimRing(arena, 0), new ClaimRing(arena, 0)];
    const { below } = random(start + 1);
    let pushed = 0;
    const reserved: number[] = [];
    for (let turn = 0; turn < 300; turn++) {
      for (let count = below(9); count > 0 && push(arena, ring, 0); count--) pushed++;
      ring.publish();
      const verifier = verifiers[below(3)]!;
      const count = verifier.reserve(1 + below(5));
      for (let index = 0; index < count; index++) reserved.push((verifier.first + index) >>> 0);
      ring.release(at(reserved.length));
    }
    expect(reserved.length).toBeGreaterThan(300);
    expect(pushed - reserved.length).toBe(ring.depth);
    expect(reserved).toEqual(reserved.map((_, index) => at(index)));
  });

  test('a handle made later goes on where the cursors stand', () => {
    const arena = arenaAt(start);
    const first = new ClaimRing(arena, 0);
    for (let count = 0; count < 5; count++) push(arena, first, count);
    first.publish();
    first.release(at(2));
    const second = new ClaimRing(arena, 0);
    expect(second.next).toBe(at(5));
    expect(push(arena, second, 5)).toBe(true);
    expect(second.publish()).toBe(1);
    expect(second.depth).toBe(4);
  });

  test('the ack ring takes exactly its size, in order', () => {
    const arena = arenaAt(start);
    const writer = new AckRing(arena, 0);
    const reader = new AckRing(arena, 0);
    const { below } = random(start + 2);
    let written = 0;
    let read = 0;
    let refused = 0;
    for (let turn = 0; turn < 200; turn++) {
      for (let count = below(6); count > 0; count--) {
        const entry = writer.tryNext();
        if (entry < 0) {
          expect(written - read).toBe(SHAPE.ackSlots);
          refused++;
          continue;
        }
        arena.words[entry >>> 2] = written++;
        writer.push();
      }
      expect((reader.written - reader.read) >>> 0).toBeLessThanOrEqual(written - read);
      writer.publish();
      expect((reader.written - reader.read) >>> 0).toBe(written - read);
      for (let count = below(written - read + 1); count > 0; count--) {
        expect(arena.words[reader.entry(reader.read) >>> 2]).toBe(read++);
        reader.release(at(read));
      }
    }
    expect(refused).toBeGreaterThan(20);
  });

  test('the duplicate filter knows what is in flight, and nothing else', () => {
    const arena = arenaAt(start);
    const ring = new ClaimRing(arena, 0);
    const filter = new DuplicateFilter(arena, ring, randomBytes);
    const { bytes } = random(7);
    const claims = Array.from({ length: 6 }, () => bytes(93));
    const enter = (claim: Uint8Array) => {
      const slot = ring.tryNext();
      arena.bytes.set(claim, slot);
      const twin = filter.enter(slot);
      if (twin < 0) ring.push();
      return twin;
    };
    claims.forEach((claim) => {
      expect(enter(claim)).toBe(-1);
    });
    claims.forEach((claim, index) => {
      expect(enter(claim)).toBe(at(index));
    });
    const later = claims[4]!.slice();
    later[90]! ^= 0xff; // The timestamp: a payer sets it anew.
    expect(enter(later)).toBe(at(4));
    ring.publish();
    ring.release(at(6));
    expect(enter(claims[0]!)).toBe(-1);
  });
});

test('a claim that differs in any byte before its timestamp is no duplicate', () => {
  const claim = random(9).bytes(93);
  for (let byte = 1; byte < 93; byte++) {
    const arena = arenaAt(0);
    const ring = new ClaimRing(arena, 0);
    const filter = new DuplicateFilter(arena, ring, randomBytes);
    arena.bytes.set(claim, ring.tryNext());
    filter.enter(ring.tryNext());
    ring.push();
    const slot = ring.tryNext();
    arena.bytes.set(claim, slot);
    arena.bytes[slot + byte]! ^= 0x10;
    expect(filter.enter(slot), `byte ${byte}`).toBe(byte < 85 ? -1 : 0);
  }
});

test('rings of one arena do not touch each other', () => {
  const arena = arenaAt(0);
  const [left, right] = [new ClaimRing(arena, 0), new ClaimRing(arena, 1)];
  for (let count = 0; count < 8; count++) push(arena, left, 0xffff_ffff);
  left.publish();
  expect(right.received).toBe(0);
  expect(right.reserve(8)).toBe(0);
  expect(arena.words.subarray(right.base >>> 2, (right.base + 8 * 128) >>> 2).every((word) => word === 0)).toBe(true);
});

test('depth is never negative to a reader beside a moving ring', () => {
  const arena = arenaAt(0);
  const ring = new ClaimRing(arena, 0);
  const watcher = new ClaimRing(arena, 0);
  // What a thread beside the ring sees when both cursors move on between its two loads.
  const original = Object.getOwnPropertyDescriptor(ClaimRing.prototype, 'received')!.get!;
  Object.defineProperty(watcher, 'received', { get: () => original.call(watcher) });
  const committed = Object.getOwnPropertyDescriptor(ClaimRing.prototype, 'committed')!.get!;
  Object.defineProperty(watcher, 'committed', {
    get: () => {
      push(arena, ring, 0);
      ring.publish();
      ring.release(ring.received);
      return committed.call(watcher);
    },
  });
  expect(watcher.depth).toBe(0);
});

test('phases only go forward', () => {
  const control = new ControlWords(arenaAt(0));
  expect(control.phase).toBe(PHASE_RUNNING);
  control.advanceTo(PHASE_DRAINED);
  control.advanceTo(PHASE_STOPPING);
  expect(control.phase).toBe(PHASE_DRAINED);
});

describe('doorbell', () => {
  const bell = () => new Doorbell(new Int32Array(new SharedArrayBuffer(8)), 0);

  test('does not sleep when there is work', async () => {
    const doorbell = bell();
    const started = performance.now();
    doorbell.sleep(() => true, 5_000);
    await doorbell.sleepAsync(() => true);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test('wakes when rung, and only then', async () => {
    const doorbell = bell();
    let isAwake = false;
    const sleeper = doorbell
      .sleepAsync(() => false)
      .then(() => {
        isAwake = true;
      });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isAwake).toBe(false);
    doorbell.ring();
    await sleeper;
    expect(isAwake).toBe(true);
  });

  test('a ring between the look for work and the wait is not lost', async () => {
    const doorbell = bell();
    await doorbell.sleepAsync(() => {
      doorbell.ring();
      return false;
    });
    const started = performance.now();
    doorbell.sleep(() => {
      doorbell.ring();
      return false;
    }, 5_000);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test('an idle strategy spins as often as told, then sleeps', () => {
    const doorbell = bell();
    let looks = 0;
    const idle = new Idle(doorbell, { spins: 3, sleepMsMax: 1 });
    const wait = () =>
      idle.wait(() => {
        looks++;
        return true;
      });
    for (let count = 0; count < 3; count++) wait();
    expect(looks).toBe(0);
    wait();
    expect(looks).toBe(1);
  });
});
