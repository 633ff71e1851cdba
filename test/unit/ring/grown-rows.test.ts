/** Marks of rows that have grown: each taken once, none lost, none made for nobody. Test's thread. */
import { expect, test } from 'vitest';
import { Arena } from '../../../src/ring/arena.ts';
import { GrownRows, GrownRowsReader } from '../../../src/ring/grown-rows.ts';
import { random } from '../../support/random.ts';

const CHANNELS = 5_000;

function parts(rings = 2, takenMax?: number) {
  const arena = Arena.create({ kernelBytes: 0, rings, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax: CHANNELS });
  const committers = Array.from({ length: rings }, (_, ring) => new GrownRows(arena, ring));
  return { committers, reader: new GrownRowsReader(arena, takenMax) };
}

function taken(reader: GrownRowsReader): number[] {
  const rows: number[] = [];
  reader.take((batch, count) => rows.push(...batch.subarray(0, count)));
  return rows;
}

test('while nobody listens no row is marked', () => {
  const { committers, reader } = parts();
  committers[0]!.mark(Uint32Array.of(1, 2), 2);
  expect([reader.hasMarks, taken(reader)]).toEqual([false, []]);
  reader.isWanted = true;
  committers[0]!.mark(Uint32Array.of(1, 2, 3), 2);
  expect([reader.hasMarks, taken(reader), reader.hasMarks]).toEqual([true, [1, 2], false]);
  reader.isWanted = false;
  committers[0]!.mark(Uint32Array.of(1), 1);
  expect(taken(reader)).toEqual([]);
});

test('rows of all rings are taken together, each once, the first and the last row too', () => {
  const { committers, reader } = parts(2);
  reader.isWanted = true;
  const last = CHANNELS - 1;
  committers[0]!.mark(Uint32Array.of(31, 0, last, 1_024, 31), 5);
  committers[1]!.mark(Uint32Array.of(32, 31, last), 3);
  expect(taken(reader)).toEqual([0, 31, 32, 1_024, last]);
  expect(taken(reader)).toEqual([]);
});

test('marks come in as many runs as it takes; those made meanwhile are there next time', () => {
  const { committers, reader } = parts(1, 64);
  reader.isWanted = true;
  committers[0]!.mark(
    Uint32Array.from({ length: CHANNELS }, (_, row) => row),
    CHANNELS,
  );
  const rows: number[] = [];
  reader.take((batch, count) => {
    expect(count).toBeLessThanOrEqual(64);
    rows.push(...batch.subarray(0, count));
    committers[0]!.mark(Uint32Array.of(0, 4_999), 2);
  });
  expect(rows.filter((row) => row !== 0 && row !== 4_999)).toEqual(
    Array.from({ length: CHANNELS - 2 }, (_, index) => index + 1),
  );
  expect(taken(reader)).toContain(0);
});

test('whatever is marked and taken in whatever order, all of it is taken, and nothing else', () => {
  const { below } = random(5);
  const { committers, reader } = parts(3);
  reader.isWanted = true;
  const marked = new Set<number>();
  for (let turn = 0; turn < 500; turn++) {
    const rows = Uint32Array.from({ length: below(20) }, () => below(CHANNELS));
    committers[below(3)]!.mark(rows, rows.length);
    for (const row of rows) marked.add(row);
    if (below(4) > 0) continue;
    expect(taken(reader)).toEqual([...marked].sort((left, right) => left - right));
    marked.clear();
  }
});
