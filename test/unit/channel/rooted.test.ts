/**
 * What is kept of channels with leaves of signed roots: the claim to redeem, the newest leaf, and the exposure.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { RootedRows } from '../../../src/channel/rooted.ts';
import { type Channel, redeemable } from '../../../src/channel/row.ts';
import { ChannelTable, highHalf, lowHalf } from '../../../src/channel/table.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { brieflyOrAtLength } from '../../support/length.ts';

const KEYS = [2, 3].map((first) => Uint8Array.of(first, ...new Uint8Array(32).fill(first)));

function channelOf(channelId: bigint, key: number, profile: Channel['profile'] = 'xrpl'): Channel {
  return {
    channelId,
    ledgerChannelId: new Uint8Array(32).fill(Number(channelId)),
    publicKey: KEYS[key]!,
    capacity: 1_000_000n,
    committed: 0n,
    sequence: 0,
    timestampBits: 0n,
    signature: new Uint8Array(64),
    profile,
    state: 'open',
    expiresAt: 0,
  };
}

function rigOf(channels: readonly Channel[], exposureMax = 0) {
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax: 16 };
  const table = new ChannelTable(Arena.create(shape));
  for (const channel of channels) table.insert(channel);
  return { table, rooted: new RootedRows(table, exposureMax) };
}

/** A claim's bytes; a leaf's record has the same fields. */
const bytesOf = (amount: bigint, sequence = Number(amount)) => {
  const signature = new Uint8Array(64).fill(Number(amount & 0xffn));
  return new DataView(claimBytes({ channelId: 1n, sequence, amount, signature, timestamp: Number(amount) }).buffer);
};

function leaf(rooted: RootedRows, row: number, amount: bigint): void {
  rooted.mark(row);
  rooted.commitLeaf(row, bytesOf(amount), 0, 3, 7, 4_096, 63);
}

describe('a channel with leaves', () => {
  test('keeps the signature of its highest claim on its own, whatever leaves say', () => {
    const { table, rooted } = rigOf([channelOf(1n, 0)]);
    table.commit(0, bytesOf(100n), 0);
    leaf(rooted, 0, 150n);
    const channel = table.read(0);
    expect(channel).toMatchObject({ committed: 150n, sequence: 150, rooted: { committed: 100n, sequence: 100 } });
    expect(channel.rooted!.leaf).toMatchObject({
      amount: 150n,
      place: { lane: 3, segment: 7, offset: 4_096, leaf: 63 },
    });
    expect(channel.signature).toEqual(new Uint8Array(64).fill(100));
    expect(redeemable(channel)).toMatchObject({ committed: 100n, sequence: 100, signature: channel.signature });
  });

  test('takes a claim on its own below what is committed as the one to redeem', () => {
    const { table, rooted } = rigOf([channelOf(1n, 0)]);
    leaf(rooted, 0, 150n);
    const [hot, high] = [table.hot(0), 0];
    expect([rooted.isNews(0, hot, high, 120), rooted.isNews(0, hot, high, 0)]).toEqual([true, false]);
    rooted.cover(0, bytesOf(120n), 0);
    expect(table.read(0)).toMatchObject({ committed: 150n, sequence: 150, rooted: { committed: 120n } });
    expect(table.read(0).signature).toEqual(new Uint8Array(64).fill(120));
    expect([rooted.isNews(0, hot, high, 120), rooted.isNews(0, hot, high, 121)]).toEqual([false, true]);
    rooted.cover(0, bytesOf(110n), 0);
    expect(table.read(0).rooted!.committed).toBe(120n);
    rooted.cover(0, bytesOf(200n), 0);
    expect(table.read(0)).toMatchObject({ committed: 200n, sequence: 200, rooted: { leaf: { amount: 150n } } });
  });

  test('is paid by the ledger beyond its leaves: nothing is owed', () => {
    const { table, rooted } = rigOf([channelOf(1n, 0)], 500);
    rooted.mark(0);
    expect(rooted.reserve(0, 0, 150)).toBe(true);
    leaf(rooted, 0, 150n);
    expect(rooted.exposureOfKey(0)).toBe(150);
    table.raise(0, 400n);
    expect(table.read(0)).toMatchObject({ committed: 400n, rooted: { committed: 400n } });
    expect(rooted.exposureOfKey(0)).toBe(0);
  });

  test('that is marked and has none yet is as any other', () => {
    const { table, rooted } = rigOf([channelOf(1n, 0)]);
    rooted.mark(0);
    table.commit(0, bytesOf(100n), 0);
    expect(table.read(0).rooted).toBeUndefined();
    expect(table.read(0).signature).toEqual(new Uint8Array(64).fill(100));
  });
});

describe('exposure', () => {
  test('is 0 by default: an xrpl channel takes no leaf, a link channel any', () => {
    const { rooted } = rigOf([channelOf(1n, 0), channelOf(2n, 0, 'link')]);
    expect([rooted.mayTake(0, 0, 1), rooted.reserve(0, 0, 1)]).toEqual([false, false]);
    expect([rooted.mayTake(1, 0, 1), rooted.reserve(1, 9, 1)]).toEqual([true, true]);
  });

  test('is of all channels of a key together; a claim on its own makes room', () => {
    const { table, rooted } = rigOf([channelOf(1n, 0), channelOf(2n, 0), channelOf(3n, 1)], 100);
    for (const row of [0, 1, 2]) rooted.mark(row);
    expect([rooted.reserve(0, 0, 60), rooted.reserve(1, 0, 41), rooted.reserve(1, 0, 40)]).toEqual([true, false, true]);
    expect(rooted.reserve(2, 0, 100)).toBe(true);
    rooted.loadRoom(1);
    expect([rooted.roomHigh, rooted.roomLow]).toEqual([0, 40]);
    leaf(rooted, 0, 60n);
    table.commit(0, bytesOf(50n), 0);
    rooted.loadRoom(1);
    expect(rooted.roomLow).toBe(90);
    expect([rooted.reserve(1, 0, 91), rooted.mayTake(1, 0, 91), rooted.reserve(1, 0, 90)]).toEqual([
      false,
      false,
      true,
    ]);
  });

  test('counts halves of u64 as one number', () => {
    const { rooted } = rigOf([{ ...channelOf(1n, 0), committed: 0xffff_fff0n }], 0x20);
    rooted.mark(0);
    expect([rooted.reserve(0, 1, 0x11), rooted.reserve(0, 1, 0x10)]).toEqual([false, true]);
    rooted.loadRoom(0);
    expect([rooted.roomHigh, rooted.roomLow]).toEqual([1, 0x10]);
    expect(rooted.exposureOfKey(0)).toBe(0x20);
  });

  test('is never passed, whatever leaves and claims come in whatever order in several lanes', () => {
    const step = fc.record({
      row: fc.nat(3),
      kind: fc.constantFrom('leaf', 'claim', 'apply'),
      more: fc.nat(80),
      lane: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 150 }), (steps, max) => {
        const channels = [channelOf(1n, 0), channelOf(2n, 0), channelOf(3n, 0), channelOf(4n, 1)];
        const { table, rooted } = rigOf(channels, max);
        // What a lane has staged and not applied yet.
        const lanes: { row: number; amount: bigint; isLeaf: boolean }[][] = [[], [], []];
        const apply = (lane: number) => {
          for (const { row, amount, isLeaf } of lanes[lane]!.splice(0))
            if (isLeaf) leaf(rooted, row, amount);
            else table.commit(row, bytesOf(amount), 0);
        };
        const owed = (row: number) => {
          const channel = table.read(row);
          return channel.committed - redeemable(channel).committed;
        };
        for (const { row, kind, more, lane } of steps) {
          if (kind === 'apply') apply(lane);
          else {
            const amount = table.read(row).committed + BigInt(more);
            rooted.mark(row);
            const isLeaf = kind === 'leaf';
            if (!isLeaf || rooted.reserve(row, highHalf(amount), lowHalf(amount)))
              lanes[lane]!.push({ row, amount, isLeaf });
          }
          expect(Number(owed(0) + owed(1) + owed(2))).toBeLessThanOrEqual(max);
          expect(Number(owed(3))).toBeLessThanOrEqual(max);
        }
        for (const lane of [0, 1, 2]) apply(lane);
        const before = [rooted.exposureOfKey(0), rooted.exposureOfKey(3)];
        expect(before).toEqual([Number(owed(0) + owed(1) + owed(2)), Number(owed(3))]);
        rooted.recount();
        expect([rooted.exposureOfKey(0), rooted.exposureOfKey(3)]).toEqual(before);
      }),
      { numRuns: brieflyOrAtLength(150, 5_000) },
    );
  });
});
