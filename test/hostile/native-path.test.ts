/**
 * C's claim path and what nobody should send or leave in memory: any bytes of any length, rings of one slot, indexes
 * full of collisions, rows and verdicts that are damaged, arguments that are not what they should be.
 */
import { expect, test } from 'vitest';
import { CLAIM_BYTES, DATAGRAM_BYTES_MAX } from '../../protocol/layout.ts';
import { HASH_BOTH, HASH_END, HASH_SHIFT } from '../../src/channel/table.ts';
import { loadAddon } from '../../src/native/addon.ts';
import { CommitGroup } from '../../src/path/commit-group.ts';
import type { NativePath } from '../../src/path/native-path.ts';
import { SLOT_ROW, SLOT_VERDICT, VERDICT_VALID } from '../../src/ring/slot.ts';
import { describeNative, isNativeTested } from '../support/native-only.ts';
import { type Random, random } from '../support/random.ts';
import { claimOf, Rig, sourceOf } from '../support/rig.ts';
import { TwinRigs } from '../support/twin-rigs.ts';

const SOURCE = sourceOf('192.0.2.1', 4_000);

/** Sound claims, other frames, noise, and cuts, up to `length` bytes; in memory that ends where they do. */
function anyBytes(from: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(length));
  let at = 0;
  const channels = 1 + from.below(20);
  while (at < length) {
    const pick = from.below(40);
    const frame =
      pick === 0
        ? from.bytes(from.below(200))
        : pick === 1
          ? Uint8Array.of(2, ...from.bytes(31))
          : claimOf({ channelId: BigInt(from.below(channels)), amount: BigInt(from.u32()) }, from.below(50) > 0);
    bytes.set(frame.subarray(0, length - at), at);
    at += frame.length;
  }
  if (from.below(4) === 0)
    for (let flips = 4; flips > 0 && length > 0; flips--) bytes[from.below(length)]! = from.below(256);
  return bytes;
}

describeNative('any bytes', () => {
  test.each([1, 8, 1_024])('through a ring of %i, as the steps take them', (ringSlots) => {
    const from = random(ringSlots);
    const rigs = new TwinRigs({ ringSlots, firstSequence: 2 ** 32 - 2_000, channelsMax: 32 });
    for (let id = 1n; id <= 16n; id++)
      rigs.both((rig) => rig.open({ channelId: id, profile: id % 5n === 0n ? 'link' : 'xrpl', capacity: 2n ** 31n }));
    for (let round = 0; round < 600; round++) {
      const most = [0, 1, CLAIM_BYTES + 1, 300, 1_500, 9_000, DATAGRAM_BYTES_MAX][
        from.below(round % 40 === 0 ? 7 : 5)
      ]!;
      const bytes = anyBytes(from, from.below(5) === 0 ? most : from.below(most + 1));
      rigs.pass(1);
      rigs.payload(bytes, 0, bytes.length, SOURCE);
      for (let steps = from.below(4); steps > 0; steps--) rigs.someStep(from);
      rigs.expectSame(`round ${round}, ${bytes.length} bytes`);
    }
    rigs.drain();
    rigs.expectSame('in the end');
    rigs.expectSameJournal();
    expect(rigs.native.settled()).toBe(rigs.native.counter('received') - rigs.native.counter('superseded'));
  });

  test('every type of frame, whole and cut at every byte, after a sound claim', () => {
    const rigs = new TwinRigs({ ringSlots: 64 });
    rigs.both((rig) => rig.open({ channelId: 1n }));
    let amount = 0n;
    const sound = () => claimOf({ channelId: 1n, amount: ++amount });
    for (let type = 0; type < 256; type++)
      for (const size of type < 4 ? [0, 1, 31, 32, 33, 92, 93, 94, 186] : [1, 93]) {
        const rest = new Uint8Array(size);
        rest.set(sound().subarray(0, size));
        if (size > 0) rest[0] = type;
        const bytes = new Uint8Array(Buffer.concat([sound(), rest]));
        rigs.payload(bytes, 0, bytes.length, SOURCE);
        rigs.drain();
        rigs.expectSame(`type ${type}, ${size} bytes`);
      }
    for (let cut = 0; cut <= 2 * CLAIM_BYTES; cut++) {
      const bytes = new Uint8Array(Buffer.concat([sound(), sound()])).slice(0, cut);
      rigs.payload(bytes, 0, bytes.length, SOURCE);
      rigs.drain();
      rigs.expectSame(`cut at ${cut}`);
    }
  });
});

/** Handles whose search in an index of `size` begins at one and the same place: hashHandle of channel/table.ts. */
function colliding(size: number, count: number): bigint[] {
  const found: bigint[] = [];
  for (let low = 1; found.length < count; low++) {
    let hash = Math.imul(low, HASH_BOTH);
    hash ^= hash >>> HASH_SHIFT;
    if (((Math.imul(hash, HASH_END) >>> 0) & (size - 1)) === size - 5) found.push(BigInt(low));
  }
  return found;
}

describeNative('an index', () => {
  test('whose handles all collide: C gives up on the far ones, and every claim is judged all the same', () => {
    const rigs = new TwinRigs({ channelsMax: 2_048, ringSlots: 4_096 });
    const handles = colliding(4_096, 1_101);
    for (const channelId of handles.slice(0, 1_100)) rigs.both((rig) => rig.open({ channelId }));
    for (const amount of [5n, 6n]) {
      const claims = handles.map((channelId) => claimOf({ channelId, amount }));
      const bytes = new Uint8Array(Buffer.concat(claims));
      for (let at = 0; at < bytes.length; at += 600 * CLAIM_BYTES)
        rigs.payload(bytes, at, Math.min(600 * CLAIM_BYTES, bytes.length - at), SOURCE);
      rigs.drain();
      rigs.expectSame(`amount ${amount}`);
    }
    expect([rigs.native.counter('committed'), rigs.native.counter('refused.unknownChannel')]).toEqual([2_200, 2]);
  });

  test('without an end, or of rows that are none, stalls nothing and is not followed', () => {
    const rig = new Rig({ path: 'native' });
    rig.open({ channelId: 1n });
    const { offset, bytes } = rig.arena.plan.channelIndex;
    const index = rig.arena.words.subarray(offset / 4, (offset + bytes) / 4);
    const claim = claimOf({ channelId: 2n, amount: 5n });
    for (const entry of [1, 65, 0x7fff_ffff, 0xffff_ffff]) {
      index.fill(entry);
      expect(rig.path!.admit(claim, 0, CLAIM_BYTES, SOURCE, 0, rig.now, 1)).toBe(0);
    }
    index.fill(1);
    expect(rig.path!.admit(claimOf({ channelId: 1n, amount: 5n }), 0, CLAIM_BYTES, SOURCE, 0, rig.now, 1)).toBe(1);
  });
});

/** A ring with `count` plain claims of as many channels, judged valid. */
function judged(count: number): { rig: Rig; path: NativePath; group: CommitGroup } {
  const rig = new Rig({ path: 'native', ringSlots: 16 });
  for (let id = 1n; id <= count; id++) {
    rig.open({ channelId: id });
    rig.datagram(claimOf({ channelId: id, amount: 9n }), SOURCE);
  }
  rig.receive.step(rig.now);
  rig.verify.step();
  return { rig, path: rig.path!, group: new CommitGroup() };
}
const SECONDS = 1_700_000_000;

describeNative('a slot', () => {
  test.each([64, 65, 0x00ff_ffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])(
    'whose row is %i, of 64, is left to the step with what follows',
    (row) => {
      for (let damaged = 0; damaged < 12; damaged++) {
        const { rig, path, group } = judged(12);
        rig.arena.words[(rig.ring.slot(damaged) + SLOT_ROW) >>> 2] = row;
        expect(path.stage(group, undefined, 0, 12, SECONDS)).toBe(damaged);
        expect([group.journal.count, group.accepted, group.acks.count]).toEqual([damaged, damaged, damaged]);
      }
    },
  );

  test('with any verdict but valid is the step’s', () => {
    for (const verdict of [0, 2, 3, 4, 5, 0x101, 0x0100_0001, 0x7fff_ffff, -1, -2, -(2 ** 31)]) {
      const { rig, path, group } = judged(3);
      Atomics.store(rig.arena.ints, (rig.ring.slot(1) + SLOT_VERDICT) >>> 2, verdict);
      expect(path.stage(group, undefined, 0, 3, SECONDS), `verdict ${verdict}`).toBe(1);
      Atomics.store(rig.arena.ints, (rig.ring.slot(1) + SLOT_VERDICT) >>> 2, VERDICT_VALID);
      expect(path.stage(group, undefined, 1, 3, SECONDS)).toBe(2);
    }
  });

  test('that there is no room for leaves the group as it was', () => {
    const { rig, path, group } = judged(2);
    expect(path.stage(group, undefined, 0, 2, SECONDS)).toBe(2);
    // A higher claim of the first channel, from somebody else: its record would change, and an ack be owed.
    rig.datagram(claimOf({ channelId: 1n, amount: 10n }), sourceOf('192.0.2.9', 1));
    rig.receive.step(rig.now);
    rig.verify.step();
    for (const full of [group, undefined]) {
      const [open, syncing] = full === undefined ? [new CommitGroup(), group] : [group, undefined];
      group.counts[2] = group.acks.records.length;
      const before = Buffer.from(group.journal.bytes);
      const counts = [...group.counts, ...open.counts];
      expect(path.stage(open, syncing, 2, 3, SECONDS)).toBe(0);
      expect(before.equals(group.journal.bytes)).toBe(true);
      expect([...group.counts, ...open.counts]).toEqual(counts);
    }
    group.counts[2] = 2;
    expect(path.stage(group, undefined, 2, 3, SECONDS)).toBe(1);
    expect([...group.counts]).toEqual([2, 3, 3]);
  });
});

describeNative('arguments', () => {
  type Call = (...given: unknown[]) => unknown;
  const addon = isNativeTested ? loadAddon<Record<string, Call>>() : {};
  const words = (length: number) => new Uint32Array(length);

  test('that are missing, of another kind or too short are an error', () => {
    for (const name of ['pathOpen', 'pathGroup', 'pathAdmit', 'pathStage', 'pathCommit']) {
      expect(() => addon[name]!(), name).toThrow('expected');
      for (const odd of [undefined, null, 1, 'x', {}, new DataView(new ArrayBuffer(99)), new Float64Array(99)])
        expect(() => addon[name]!(odd, odd, odd, odd, odd, odd, odd, odd), `${name}(${odd})`).toThrow('expected');
    }
    const group = (sizes: number[]) =>
      addon.pathGroup!(new Uint8Array(sizes[0]!), ...sizes.slice(1).map((size) => words(size)));
    // Two records, three acks: journal, heads of rows, next rows, rows of records, ack words, records, next, heads, counts.
    const sound = [32 + 2 * 96, 8_192, 2, 2, 15, 3, 3, 2, 3];
    group(sound);
    for (const short of [0, 1, 2, 4, 6, 7, 8])
      expect(() => group(sound.map((size, index) => size - (index === short ? 1 : 0))), `${short}`).toThrow('expected');
  });

  test('of a range that is outside the bytes are an error, and nothing is read there', () => {
    const rig = new Rig({ path: 'native' });
    rig.open({ channelId: 1n });
    const claim = claimOf({ channelId: 1n, amount: 1n });
    for (const [offset, end] of [
      [0, 94],
      [94, 94],
      [50, 40],
      [0, 2 ** 32 - 1],
      [2 ** 32 - 1, 93],
    ] as const)
      expect(() => rig.path!.admit(claim, offset, end, SOURCE, 0, rig.now, 1), `${offset}, ${end}`).toThrow('range');
    expect(() => rig.path!.admit(claim, 0, 93, SOURCE.slice(1), 0, rig.now, 1)).toThrow('source');
    expect(rig.path!.admit(claim, 93, 93, SOURCE, 0, rig.now, 1)).toBe(0);
    expect(rig.path!.admit(claim, 1, 93, SOURCE, 0, rig.now, 1)).toBe(0);
    expect(rig.path!.admit(claim, 0, 93, SOURCE, 0, rig.now, 1)).toBe(1);
  });

  test.each([0, 2 ** 32 - 2, 2 ** 32 - 1, 2 ** 32, 2 ** 33 + 5])('second %i: expired is expired', (second) => {
    const rigs = new TwinRigs();
    [0, 1, 2 ** 31, 2 ** 32 - 1].forEach((expiresAt, index) => {
      rigs.both((rig) => rig.open({ channelId: BigInt(index + 1), expiresAt }));
    });
    const claims = [1n, 2n, 3n, 4n].map((channelId) => claimOf({ channelId, amount: 1n }));
    const bytes = new Uint8Array(Buffer.concat(claims));
    rigs.pass(second * 1_000 - rigs.plain.now);
    rigs.payload(bytes, 0, bytes.length, SOURCE);
    rigs.expectSame('on receipt');
    rigs.drain();
    rigs.expectSame('in the end');
    // In after all by a clock that was wrong: settled by one that is right.
    rigs.pass(1_000 - rigs.plain.now);
    const again = new Uint8Array(Buffer.concat([3n, 4n].map((channelId) => claimOf({ channelId, amount: 2n }))));
    rigs.payload(again, 0, again.length, SOURCE);
    rigs.pass(second * 1_000 - rigs.plain.now);
    rigs.drain();
    rigs.expectSame('at the end of a later second');
  });
});
