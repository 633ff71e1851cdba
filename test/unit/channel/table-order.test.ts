/**
 * The order in which a row of the channel table is read and written: between any two of its atomic accesses another thread
 * may come in, and none of them may be a plain one, which has no place in that order where the processor lets accesses pass
 * each other. C's half is test/kernel/claim-path-order-test.c.
 */
import { describe, expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import * as hotWords from '../../../src/channel/table.ts';
import { ChannelTable, HOT_ID_HIGH, HOT_ID_LOW, HOT_KEY, HOT_VERSION } from '../../../src/channel/table.ts';
import { ADMITTED, admit } from '../../../src/path/rules.ts';
import { Arena, ROW_HOT_BYTES } from '../../../src/ring/arena.ts';

const ROW = 0;
/** Set before a row can be found, and never again. */
const FIXED_WORDS = [HOT_ID_HIGH, HOT_ID_LOW, HOT_KEY];
const NAMES = Object.entries(hotWords).filter(([name]) => name.startsWith('HOT_')) as [string, number][];

type Access = (array: Int32Array, ...rest: number[]) => number;
const ACCESSES = ['load', 'store', 'add', 'exchange', 'compareExchange'] as const;

/** Runs `run` with `access` around every atomic access; those it makes itself are its own. */
function aroundAtomics(run: () => void, access: (original: Access) => Access): void {
  const originals = Object.fromEntries(ACCESSES.map((name) => [name, Atomics[name]]));
  const restore = () => Object.assign(Atomics, originals);
  const watch = () =>
    Object.assign(
      Atomics,
      Object.fromEntries(
        ACCESSES.map((name) => [
          name,
          (array: Int32Array, ...rest: number[]) => {
            restore();
            try {
              return access(originals[name] as Access)(array, ...rest);
            } finally {
              watch();
            }
          },
        ]),
      ),
    );
  watch();
  try {
    run();
  } finally {
    restore();
  }
}

/** Calls `meet` at each place between two atomic accesses of `run`, one place a turn, until there are no more places. */
function atEachInstant(run: () => void, meet: () => void, between: () => void = () => {}): number {
  for (let place = 0; ; place++) {
    let at = 0;
    aroundAtomics(run, (original) => (array, ...rest) => {
      if (at++ === place) meet();
      return original(array, ...rest);
    });
    between();
    if (at <= place) return place;
  }
}

/** The arena seen through arrays that note every plain access to what may change in a row. */
function watchedArena(arena: Arena): { arena: Arena; plain: string[]; originals: Map<object, Int32Array> } {
  const { rows, signatures } = arena.plan;
  const plain: string[] = [];
  const originals = new Map<object, Int32Array>();
  const isLocked = () => (Atomics.load(arena.ints, (rows.offset >>> 2) + HOT_VERSION) & 1) === 1;
  const note = (kind: string, start: number, end: number) => {
    if (start < signatures.offset + signatures.bytes && end > signatures.offset) plain.push(`${kind} of a signature`);
    if (start >= rows.offset + rows.bytes || end <= rows.offset) return;
    const word = ((start - rows.offset) % ROW_HOT_BYTES) >>> 2;
    // Nobody else stores while the lock is held.
    const isOrdered = FIXED_WORDS.includes(word) || (kind === 'load' && isLocked());
    if (!isOrdered) plain.push(`${kind} of ${NAMES.find(([, index]) => index === word)?.[0] ?? `word ${word}`}`);
  };
  const watch = <Words extends Uint32Array | Int32Array | Uint8Array>(array: Words): Words => {
    const size = array.BYTES_PER_ELEMENT;
    const proxy = new Proxy(array, {
      get(target, name) {
        const index = Number(name);
        if (typeof name === 'string' && Number.isInteger(index)) note('load', index * size, index * size + size);
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...rest: unknown[]) => {
          const from = (name === 'set' ? (rest[1] as number) : (rest[0] as number)) * size;
          const end = name === 'set' ? from + (rest[0] as Uint8Array).byteLength : (rest[1] as number) * size;
          note(name === 'set' ? 'store' : 'load', from, end);
          return Reflect.apply(value, target, rest) as unknown;
        };
      },
      set(target, name, value) {
        note('store', Number(name) * size, Number(name) * size + size);
        return Reflect.set(target, name, value, target);
      },
    });
    originals.set(proxy, array as Int32Array);
    return proxy;
  };
  const fields = { words: watch(arena.words), ints: watch(arena.ints), bytes: watch(arena.bytes) };
  const view = Object.defineProperties(Object.create(arena) as Arena, {
    words: { value: fields.words },
    ints: { value: fields.ints },
    bytes: { value: fields.bytes },
  });
  return { arena: view, plain, originals };
}

function openRow(committed: bigint): { arena: Arena; table: ChannelTable; hot: number } {
  const arena = Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax: 4 });
  const table = new ChannelTable(arena);
  table.insert({
    channelId: 1n,
    ledgerChannelId: new Uint8Array(32).fill(9),
    publicKey: new Uint8Array(33).fill(2),
    capacity: 1n << 40n,
    ...fieldsOf(committed),
    profile: 'link',
    state: 'open',
    expiresAt: 0,
  });
  return { arena, table, hot: table.hot(ROW) };
}
/** What follows from an amount here. */
function fieldsOf(committed: bigint) {
  const mark = Number(committed % 251n);
  return { committed, sequence: mark, timestampBits: BigInt(mark), signature: new Uint8Array(64).fill(mark) };
}
function claimOf(amount: bigint): DataView {
  const { sequence, timestampBits, signature } = fieldsOf(amount);
  const view = new DataView(claimBytes({ channelId: 1n, sequence, amount, signature, timestamp: 0 }).buffer);
  view.setBigUint64(85, timestampBits);
  return view;
}

/** Amounts that share no half, and that share one. */
const PAIRS: [bigint, bigint][] = [
  [5n, 0x1_0000_0007n],
  [0xffff_ffffn, 0x1_0000_0000n],
  [7n, 9n],
];

describe('a row', () => {
  test('is never accessed plainly by those who share it', () => {
    const { arena, table } = openRow(5n);
    const watched = watchedArena(arena);
    const shared = new ChannelTable(watched.arena);
    const hot = shared.hot(ROW);
    const uses: Record<string, () => void> = {
      find: () => expect(shared.find(0, 1)).toBe(ROW),
      read: () => expect(shared.read(ROW)).toEqual(table.read(ROW)),
      admit: () => expect(admit(shared, hot, 0, 6, 0)).toBe(ADMITTED),
      isUnused: () => expect(shared.isUnused(hot)).toBe(false),
      loadCapacity: () => shared.loadCapacity(hot),
      sequence: () => expect(shared.sequence(hot)).toBe(5),
      change: () => shared.change(ROW, { capacity: 1n << 41n, expiresAt: 0, open: true }),
      commit: () => shared.commit(ROW, claimOf(0x1_0000_0007n), 0),
      dirty: () => {
        expect(shared.takeDirty(ROW)).toBe(true);
        shared.markDirty(ROW);
      },
    };
    const plain: string[] = [];
    for (const [name, use] of Object.entries(uses)) {
      aroundAtomics(
        use,
        (original) =>
          (array, ...rest) =>
            original(watched.originals.get(array) ?? array, ...rest),
      );
      plain.push(...watched.plain.splice(0).map((access) => `${name}: ${access}`));
    }
    expect(plain).toEqual([]);
    expect(table.read(ROW).committed).toBe(0x1_0000_0007n);
  });

  test('while a claim is committed is locked, or has all of the old claim, or all of the new one', () => {
    for (const [first, second] of PAIRS) {
      const { arena, table, hot } = openRow(first);
      const before = table.read(ROW);
      const after = { ...before, ...fieldsOf(second) };
      let looks = 0;
      const look = () => {
        if ((Atomics.load(arena.ints, hot + HOT_VERSION) & 1) === 1) return;
        const isAfter =
          table.committedHigh(hot) !== Number(first >> 32n) || table.committedLow(hot) !== Number(first & 0xffff_ffffn);
        expect(table.read(ROW)).toEqual(isAfter ? after : before);
        expect(arena.words[hot + hotWords.HOT_DIRTY]).toBe(isAfter ? 1 : 0);
        looks++;
      };
      aroundAtomics(
        () => table.commit(ROW, claimOf(second), 0),
        (original) =>
          (array, ...rest) => {
            look();
            const result = original(array, ...rest);
            look();
            return result;
          },
      );
      expect(looks).toBeGreaterThan(2);
      expect(table.read(ROW)).toEqual(after);
    }
  });

  test('is read as one claim left it, wherever in the reading another is committed', () => {
    const { table } = openRow(1n);
    let amount = 1n;
    const seen = { isNew: 0, isOld: 0 };
    let result = table.read(ROW);
    let last = amount;
    const places = atEachInstant(
      () => {
        last = amount;
        result = table.read(ROW);
      },
      () => {
        amount += 0xffff_fff1n;
        table.commit(ROW, claimOf(amount), 0);
      },
      () => {
        expect([last, amount]).toContain(result.committed);
        expect(result).toMatchObject(fieldsOf(result.committed));
        seen[result.committed === last ? 'isOld' : 'isNew']++;
      },
    );
    expect(places).toBeGreaterThan(20);
    expect(seen.isNew).toBeGreaterThan(0);
  });

  test('shows a capacity that was there, wherever in the look it is changed', () => {
    const { table, hot } = openRow(1n);
    const capacities = [0xffff_ffffn, 0x1_0000_0000n];
    let turn = 0;
    const change = () => table.change(ROW, { capacity: capacities[++turn % 2]! });
    change();
    const places = atEachInstant(() => {
      table.loadCapacity(hot);
      expect(capacities).toContain((BigInt(table.capacityHigh) << 32n) | BigInt(table.capacityLow));
      // Above both.
      expect(admit(table, hot, 1, 1, 0)).not.toBe(ADMITTED);
    }, change);
    expect(places).toBeGreaterThan(8);
  });
});
