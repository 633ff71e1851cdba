/**
 * Two rigs with the same input: in one the steps do everything, in the other C handles the plain claims. After each turn
 * everything observable must be the same, byte for byte: answers and their packing, the slots in flight, cursors, the
 * channel table, counters, the histograms of times, the journal.
 *
 * Both filters look at the same signature bytes: the rigs get the same draws.
 */
import { expect } from 'vitest';
import { HOT_VERSION } from '../../src/channel/table.ts';
import { NativePath } from '../../src/path/native-path.ts';
import { type Arena, ROW_HOT_BYTES, SLOT_BYTES } from '../../src/ring/arena.ts';
import type { ClaimRing } from '../../src/ring/claim-ring.ts';
import { readCounters } from '../../src/ring/counters.ts';
import {
  SLOT_VERDICT,
  VERDICT_HELD,
  VERDICT_INVALID,
  VERDICT_SUPERSEDED,
  VERDICT_UNSUPPORTED,
  VERDICT_VALID,
} from '../../src/ring/slot.ts';
import type { Random } from './random.ts';
import { Rig, type RigOptions, StubBackend } from './rig.ts';

/** Verdicts by a claim's first signature byte, so that a test may write any: the last are held until `release`. */
export const VERDICTS = [
  VERDICT_VALID,
  VERDICT_INVALID,
  VERDICT_SUPERSEDED,
  VERDICT_UNSUPPORTED,
  0x7fff_ffff,
  VERDICT_HELD,
];

class AnyVerdict extends StubBackend {
  readonly #ints: Int32Array;
  readonly #held: number[] = [];

  constructor(arena: Arena, ring: ClaimRing) {
    super(arena, ring, (slot) => {
      const verdict = VERDICTS[arena.bytes[slot + 21]! % VERDICTS.length]!;
      if (verdict === VERDICT_HELD) this.#held.push(slot);
      return verdict;
    });
    this.#ints = arena.ints;
  }
  release(): void {
    for (const slot of this.#held.splice(0))
      Atomics.store(this.#ints, (slot + SLOT_VERDICT) >>> 2, slot & 128 ? VERDICT_VALID : VERDICT_INVALID);
  }
}

/**
 * How many claims C admitted, how many it staged, and how many of those while a group was being synced; how many leaves it entered and staged,
 * and how many of those while a group was being synced.
 */
export const byNative = {
  admitted: 0,
  staged: 0,
  besideASync: 0,
  leavesEntered: 0,
  leaves: 0,
  leavesBesideASync: 0,
};

const { admit, stage, enterLeaves, stageLeaves } = NativePath.prototype;
NativePath.prototype.admit = function (...given) {
  const count = admit.apply(this, given);
  byNative.admitted += count;
  return count;
};
NativePath.prototype.stage = function (...given) {
  const count = stage.apply(this, given);
  byNative.staged += count;
  if (given[1] !== undefined) byNative.besideASync += count;
  return count;
};
NativePath.prototype.enterLeaves = function (...given) {
  const hasEntered = enterLeaves.apply(this, given);
  if (hasEntered) byNative.leavesEntered += given[0].count;
  return hasEntered;
};
NativePath.prototype.stageLeaves = function (...given) {
  const count = stageLeaves.apply(this, given);
  byNative.leaves += count;
  if (given[1] !== undefined) byNative.leavesBesideASync += count;
  return count;
};

export class TwinRigs {
  readonly plain: Rig;
  readonly native: Rig;
  readonly pair: readonly [Rig, Rig];
  readonly #backends: AnyVerdict[] = [];
  readonly #isOverlapping: boolean;

  /** @param draw picks where both filters look */
  constructor(options: RigOptions = {}, draw = 5) {
    const random = (count: number) => Buffer.alloc(count, draw);
    const backend = (arena: Arena, ring: ClaimRing) => {
      const made = new AnyVerdict(arena, ring);
      this.#backends.push(made);
      return made;
    };
    this.#isOverlapping = options.isOverlapping === true;
    this.plain = new Rig({ backend, random, ...options, path: 'portable' });
    this.native = new Rig({ backend, random, ...options, path: 'native' });
    this.pair = [this.plain, this.native];
  }

  /** Time passes, milliseconds. */
  pass(time: number): void {
    for (const rig of this.pair) {
      rig.now += time;
      rig.monotonic += time;
    }
  }

  /** Does the same to both; the results must be the same. */
  both<Result>(act: (rig: Rig) => Result): Result {
    const result = act(this.plain);
    expect(act(this.native)).toEqual(result);
    return result;
  }

  /** A payload at `offset` of a larger buffer; what lies around it is no part of it. */
  payload(bytes: Uint8Array, offset: number, length: number, source: Uint32Array): void {
    this.both((rig) => {
      rig.receive.now = rig.now;
      rig.receive.waited(length * 7);
      rig.receive.payload(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset, length, source);
    });
  }

  /** Runs one step of either kind. */
  someStep(from: Random): void {
    for (const rig of this.pair) rig.monotonic += 0.137;
    const pick = from.below(12);
    if (pick < 3) this.both((rig) => rig.receive.step(rig.now));
    else if (pick < 6) this.both((rig) => rig.verify.step());
    else if (pick < 9) this.both((rig) => rig.commitTurn());
    else if (pick === 9) this.both((rig) => rig.ackTurn());
    else if (pick === 10) for (const backend of this.#backends) backend.release();
    else this.#endSync();
  }

  #endSync(): void {
    if (!this.#isOverlapping) return;
    if (this.both((rig) => rig.files.syncing.length) > 0) this.both((rig) => rig.files.endSync());
  }

  /** Runs until no claim is in flight. */
  drain(): void {
    for (let rounds = 0; this.plain.ring.depth > 0 || this.plain.receive.isHolding || rounds < 2; rounds++) {
      expect(rounds).toBeLessThan(10_000);
      this.both((rig) => rig.receive.step(rig.now));
      while (this.both((rig) => rig.verify.step()) > 0);
      for (const backend of this.#backends) backend.release();
      this.both((rig) => rig.commitTurn());
      this.#endSync();
      this.both((rig) => rig.ackTurn());
    }
    this.both((rig) => rig.ring.depth);
  }

  expectSame(about: string): void {
    const left = observed(this.plain);
    const right = observed(this.native);
    expect(right.text, about).toBe(left.text);
    for (const [part, bytes] of Object.entries(left.bytes)) {
      const other = right.bytes[part as keyof typeof right.bytes];
      if (!bytes.equals(other))
        expect.fail(`${about}: ${part} differ at ${bytes.findIndex((byte, index) => byte !== other[index])}`);
    }
  }

  /** Claims one by one; and what is at the disk, frames too. */
  expectSameJournal(): void {
    expect(Buffer.compare(this.native.files.contents(), this.plain.files.contents()), 'files').toBe(0);
    const [left, right] = [this.plain.journaled(), this.native.journaled()];
    expect(right.length).toBe(left.length);
    expect(Buffer.concat(right).equals(Buffer.concat(left))).toBe(true);
  }
}

/** Everything that can be observed outside the steps. Removes the acks. */
function observed(rig: Rig) {
  const { arena, ring, ackRing, receive, commit, journal } = rig;
  const isRooted = rig.rooted !== undefined;
  const { rows, signatures, cursors, histograms, frames } = arena.plan;
  const region = (offset: number, bytes: number) => Buffer.from(arena.bytes.buffer, offset, bytes);
  const slots: Buffer[] = [];
  for (let sequence = ring.committed; sequence !== ring.next; sequence = (sequence + 1) >>> 0)
    slots.push(region(ring.slot(sequence), SLOT_BYTES));
  const sent = rig.transport.datagrams.splice(0);
  const { busyUs, syncWaitUs, ...counters } = readCounters(arena);
  const text = JSON.stringify([
    counters,
    [ring.next, ring.received, ring.reserved, ring.committed, ring.room, ackRing.written, ackRing.read],
    [receive.hasWork(), receive.isHolding, commit.hasWork(), commit.isIdle, journal.bytesWritten],
    sent.map(({ to, bytes }) => [to, bytes.length]),
  ]);
  return {
    text,
    bytes: {
      rows: isRooted ? unversioned(region(rows.offset, rows.bytes)) : region(rows.offset, rows.bytes),
      frames: region(frames.offset, frames.bytes),
      rooted: Buffer.from(rig.rooted?.memory ?? new ArrayBuffer(0)),
      signatures: region(signatures.offset, signatures.bytes),
      cursors: region(cursors.offset, cursors.bytes),
      histograms: region(histograms.offset, histograms.bytes),
      slots: Buffer.concat(slots),
      acks: Buffer.concat(sent.map(({ bytes }) => bytes)),
    },
  };
}

/** A copy of the rows without their versions: C locks rows with leaves once more. */
function unversioned(rows: Buffer): Buffer {
  const words = new Uint32Array(rows.buffer.slice(rows.byteOffset, rows.byteOffset + rows.length));
  for (let hot = 0; hot < words.length; hot += ROW_HOT_BYTES / 4) words[hot + HOT_VERSION]! &= 1;
  return Buffer.from(words.buffer);
}
