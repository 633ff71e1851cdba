/**
 * The channel table against a Map that is told the same things, and what a reader beside a writer may see.
 */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { U64_MAX } from '../../../protocol/layout.ts';
import { type Channel, packedRows } from '../../../src/channel/row.ts';
import { ChannelTable, HOT_COMMITTED_LOW, highHalf, isAbove, lowHalf } from '../../../src/channel/table.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { ADMITTED, admit } from '../../../src/path/rules.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { type Random, random } from '../../support/random.ts';

function tableOf(channelsMax: number): ChannelTable {
  return new ChannelTable(
    Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax }),
  );
}

function channelOf(channelId: bigint, from: Random, keys: Uint8Array[]): Channel {
  const committed = from.u64() >> BigInt(from.below(64));
  return {
    channelId,
    ledgerChannelId: from.bytes(32),
    publicKey: keys[from.below(keys.length)]!,
    capacity: from.u64(),
    committed,
    sequence: from.u32(),
    timestampBits: from.u64(),
    signature: committed === 0n ? new Uint8Array(64) : from.bytes(64),
    profile: from.below(2) === 0 ? 'xrpl' : 'link',
    state: from.below(5) === 0 ? 'closed' : 'open',
    expiresAt: from.below(2) === 0 ? 0 : from.u32(),
  };
}

const commit = (table: ChannelTable, row: number, claim: Uint8Array) =>
  table.commit(row, new DataView(claim.buffer), 0);

const OPERATIONS = brieflyOrAtLength(3_000, 8_000);

test('a table does what a Map does, under random operations', () => {
  const from = random(42);
  const table = tableOf(2_000);
  const twin = new Map<bigint, Channel>();
  const rows = new Map<bigint, number>();
  const keys = Array.from({ length: 37 }, () => Uint8Array.of(2, ...from.bytes(32)));
  const seenKeys = new Set<Uint8Array>();
  const ids: bigint[] = [];
  const freshId = () =>
    [BigInt(ids.length), from.u64(), BigInt(from.below(9)) << 32n, from.u64() & ~0xffffn][from.below(4)]!;
  for (let operation = 0; operation < OPERATIONS; operation++) {
    const kind = from.below(10);
    if (kind < 2 && ids.length < 2_000) {
      const channelId = freshId();
      if (twin.has(channelId)) continue;
      const channel = channelOf(channelId, from, keys);
      rows.set(channelId, table.insert(channel));
      twin.set(channelId, channel);
      seenKeys.add(channel.publicKey);
      ids.push(channelId);
    } else if (ids.length > 0) {
      const channelId = ids[from.below(ids.length)]!;
      const row = rows.get(channelId)!;
      const known = twin.get(channelId)!;
      if (kind < 7) {
        const shift = BigInt(from.below(64));
        const claim = {
          channelId,
          sequence: from.u32(),
          amount: from.below(4) === 0 ? known.committed + BigInt(from.below(3)) - 1n : from.u64() >> shift,
          signature: from.bytes(64),
          timestamp: from.below(1_000_000),
        };
        if (claim.amount < 0n || claim.amount > U64_MAX) continue;
        const bytes = claimBytes(claim);
        table.takeDirty(row);
        commit(table, row, bytes);
        const isHigher = claim.amount > known.committed;
        expect(table.takeDirty(row)).toBe(isHigher);
        expect(table.takeDirty(row)).toBe(false);
        if (isHigher) {
          const { amount: committed, sequence, signature } = claim;
          const timestampBits = new DataView(bytes.buffer).getBigUint64(85);
          twin.set(channelId, { ...known, committed, sequence, signature, timestampBits });
        }
      } else {
        const change = { capacity: from.u64(), expiresAt: from.u32(), open: from.below(2) === 0 };
        table.change(row, change);
        const state = change.open ? 'open' : 'closed';
        twin.set(channelId, { ...known, capacity: change.capacity, expiresAt: change.expiresAt, state });
      }
      // Node's comparison takes a tenth of expect's for rows, which are bytes for the most part.
      expect(isDeepStrictEqual(table.read(row), twin.get(channelId)), `operation ${operation}`).toBe(true);
    }
    const stranger = freshId();
    expect(table.find(highHalf(stranger), lowHalf(stranger))).toBe(rows.get(stranger) ?? -1);
  }
  expect(table.rows).toBe(ids.length);
  expect(table.keys).toBe(seenKeys.size);
  ids.forEach((id, row) => {
    expect(table.find(highHalf(id), lowHalf(id))).toBe(row);
    expect(table.read(row)).toEqual(twin.get(id));
  });
});

test('channels of one key share it; keys that differ in any byte do not', () => {
  const table = tableOf(200);
  const from = random(1);
  const base = Uint8Array.of(2, ...from.bytes(32));
  const keys = [base];
  for (let byte = 0; byte < 33; byte++) {
    const other = base.slice();
    other[byte]! ^= 1;
    keys.push(other);
  }
  for (let round = 0; round < 3; round++)
    for (const [index, key] of keys.entries()) table.insert(channelOf(BigInt(round * 100 + index), from, [key]));
  expect(table.keys).toBe(34);
  for (let row = 0; row < table.rows; row++) expect(table.read(row).publicKey).toEqual(keys[row % 34]);
});

test('a ledger id comes back whole; only rows with a handle of their own take memory for its first part', () => {
  const arena = Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax: 64 });
  const table = new ChannelTable(arena);
  const from = random(6);
  const keys = [from.bytes(33)];
  const { offset, bytes } = arena.plan.ledgerHeads;
  const heads = () => Buffer.from(arena.bytes.subarray(offset, offset + bytes));
  const channels = Array.from({ length: 64 }, (_, row) => {
    const channel = channelOf(BigInt(row), from, keys);
    if (row % 4 !== 0) channel.channelId = new DataView(channel.ledgerChannelId.buffer).getBigUint64(0);
    // One half alone is the ledger id's.
    if (row % 8 === 4) channel.ledgerChannelId.set([0, 0, 0, 0]);
    if (row % 16 === 8) channel.ledgerChannelId.set([0, 0, 0, row], 4);
    return channel;
  });
  for (const [row, channel] of channels.entries()) {
    table.insert(channel);
    expect(table.ledgerId(row)).toEqual(channel.ledgerChannelId);
    expect(
      heads()
        .subarray(8 * row, 8 * row + 8)
        .some((byte) => byte !== 0),
    ).toBe(row % 4 === 0);
  }
  // A free row is used again, by a channel of the other kind.
  for (const row of [0, 1, 4, 5]) {
    table.change(row, { open: false, removed: true });
    expect(table.read(row).ledgerChannelId).toEqual(channels[row]!.ledgerChannelId);
  }
  expect(table.free()).toEqual([0, 1, 4, 5]);
  for (const [row, other] of [
    [0, 2],
    [1, 12],
    [4, 3],
    [5, 16],
  ] as const) {
    const channel = { ...channels[other]!, state: 'open' } as const;
    const packed = packedRows([channel]);
    table.insertRow(packed, new DataView(packed.buffer), 0, row);
    expect(table.read(row)).toEqual(channel);
  }
});

test('a full table says so and stays as it is', () => {
  const table = tableOf(3);
  const from = random(2);
  const keys = [from.bytes(33)];
  for (let id = 0n; id < 3n; id++) table.insert(channelOf(id, from, keys));
  const before = [0, 1, 2].map((row) => table.read(row));
  let thrown: unknown;
  try {
    table.insert(channelOf(3n, from, keys));
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(ClaimwireError);
  expect((thrown as ClaimwireError).code).toBe('TABLE_FULL');
  expect(table.rows).toBe(3);
  expect(table.find(0, 3)).toBe(-1);
  expect([0, 1, 2].map((row) => table.read(row))).toEqual(before);
});

describe('a reader between any two stores', () => {
  const LEVELS = [1n, 0xffff_fffen, 0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0005n, 0x2_ffff_ffffn, 0x3_0000_0000n];
  /** Runs `probe` after every atomic store and add that `write` makes: each instant another thread could look. */
  function betweenStores(write: () => void, probe: () => void): void {
    const { store, add } = Atomics;
    type Any = (array: never, index: number, value: number) => number;
    const watched =
      (call: Any): Any =>
      (array, index, value) => {
        const result = call(array, index, value);
        probe();
        return result;
      };
    Object.assign(Atomics, { store: watched(store as Any), add: watched(add as Any) });
    try {
      write();
    } finally {
      Object.assign(Atomics, { store, add });
    }
  }

  test('never reads more than was stored, and an older high half never makes it more', () => {
    for (const [index, first] of LEVELS.entries())
      for (const second of LEVELS.slice(index + 1)) {
        const table = tableOf(1);
        const from = random(3);
        const row = table.insert({ ...channelOf(1n, from, [from.bytes(33)]), committed: first });
        const hot = table.hot(row);
        const highs = [table.committedHigh(hot)];
        const claim = claimBytes({
          channelId: 1n,
          sequence: 1,
          amount: second,
          signature: from.bytes(64),
          timestamp: 0,
        });
        let probes = 0;
        const probe = () => {
          probes++;
          highs.push(table.committedHigh(hot));
          const low = BigInt(table.words[hot + HOT_COMMITTED_LOW]!);
          // Whichever earlier instant the high half was read at.
          for (const high of highs) expect((BigInt(high) << 32n) | low).toBeLessThanOrEqual(second);
        };
        betweenStores(() => commit(table, row, claim), probe);
        expect(probes).toBeGreaterThan(1);
        expect(table.read(row).committed).toBe(second);
      }
  });

  test('acceptance that overlaps a change of capacity starts over: no claim passes above both capacities', () => {
    const table = tableOf(1);
    const from = random(4);
    const channel = { ...channelOf(1n, from, [from.bytes(33)]), committed: 0n, expiresAt: 0, state: 'open' } as const;
    const row = table.insert({ ...channel, profile: 'link', capacity: 1n });
    const hot = table.hot(row);
    for (const before of LEVELS)
      for (const after of LEVELS) {
        const [lower, upper] = before < after ? [before, after] : [after, before];
        let isChanged = true;
        const race = (amount: bigint) => {
          table.change(row, { capacity: before });
          isChanged = false;
          return admit(racing, hot, highHalf(amount), lowHalf(amount), 0);
        };
        // The change falls into acceptance's look at the row: it happens at the load of the committed amount.
        const racing = Object.create(table, {
          words: { value: table.words },
          committedHigh: {
            value: (at: number) => {
              if (!isChanged) table.change(row, { capacity: after });
              isChanged = true;
              return table.committedHigh(at);
            },
          },
        }) as ChannelTable;
        expect(race(upper + 1n)).not.toBe(ADMITTED);
        expect(race(lower)).toBe(ADMITTED);
        if (after < before) expect(race(before), `${before} → ${after}`).not.toBe(ADMITTED);
      }
  });
});

test('u64 halves compare like the numbers', () => {
  const from = random(5);
  for (let count = 0; count < 5_000; count++) {
    const left = from.u64() >> BigInt(from.below(64));
    const right = from.below(3) === 0 ? left ^ BigInt(from.below(2)) : from.u64() >> BigInt(from.below(64));
    expect(isAbove(highHalf(left), lowHalf(left), highHalf(right), lowHalf(right))).toBe(left > right);
  }
});
